"""The table of all methods on Emblems, of the folders of their pipelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from budget import images_seen

from mmwsss.datasets.emblems import EmblemsSettings
from mmwsss.errors import UsageError
from mmwsss.pipeline.display import clock, number
from mmwsss.pipeline.manifests import MANIFEST, read_record
from mmwsss.pipeline.settings import read_pipeline

NOT_RUN, NO_STAGE = 'not run', '-'
END = '<!-- end -->'


class Size(NamedTuple):
    """Networks of one size, and the images that they see.

    Args:
        pipelines: Names of the configs by method.
        data_root: Folder of the data set.
        side: Of its images, in pixels.
        own: Whether the pipelines are those of another data set, which take Emblems as
            photographs of one's own.
        split: That is measured.
        marker: Line of a page behind which the table stands.
    """

    pipelines: Mapping[str, str]
    data_root: str
    side: int
    own: bool
    split: str
    marker: str

    def budget_marker(self) -> str:
        """Return the line behind which the table stands of trainings that see as many images."""
        return self.marker.replace(' -->', ', same budget -->')


SIZES = dict(
    tiny=Size(
        {
            'seam': 'seam_r38-tiny_emblems',
            'afa': 'afa_mit-tiny_emblems',
            'toco': 'toco_vit-tiny_emblems',
            'mctformer-v2': 'mctformer-v2_deit-tiny_emblems',
            'mctformer-plus': 'mctformer-plus_deit-tiny_emblems',
            'semformer': 'semformer_deit-tiny_emblems',
            'vit-pcm': 'vit-pcm_vit-tiny_emblems',
            'apc': 'apc_vit-tiny_emblems',
        },
        data_root='data/emblems',
        side=EmblemsSettings().size,
        own=False,
        split='val',
        marker='<!-- emblems table -->',
    ),
    full=Size(
        {
            'seam': 'seam_r38_voc',
            'afa': 'afa_mit-b1_voc',
            'semformer': 'semformer_deit-s_voc',
            'apc': 'apc_vit-b_voc',
        },
        data_root='data/emblems-448',
        side=448,
        own=True,
        split='train',  # the one that photographs of one's own have
        marker='<!-- emblems table, full size -->',
    ),
)


class Row(NamedTuple):
    """A method in the table.

    Args:
        name: As it is shown.
        method: Whose pipeline has its stages.
        maps: Stage of its maps.
        trainings: Those that count for it, all of the pipeline by default.
        par: Stage of the maps, refined by PAR.
        walk: Stage of what was spread along affinities.
        crf: Stage of the pseudo masks, refined by dense CRF.
        final: Stage of the last test.
    """

    name: str
    method: str
    maps: str
    trainings: Sequence[str] = ()
    par: str = 'par_maps'
    walk: str = 'walks'
    crf: str = 'masks'
    final: str = 'test'


def _baseline(name: str, method: str, *trainings: str) -> Row:
    return Row(name, method, 'cam_maps', trainings, par='', walk='', crf='', final='')


ROWS = (
    _baseline('CAM, ResNet38d', 'seam', 'cam'),
    Row('SEAM', 'seam', 'seam_maps'),
    _baseline('CAM, MiT', 'afa', 'classifier', 'cam'),
    Row('AFA', 'afa', 'afa_maps', walk='affinity_cams', final='test_crf'),
    _baseline('CAM, DeiT', 'semformer', 'cam'),
    Row('SemFormer', 'semformer', 'semformer_maps'),
    Row('ViT-PCM', 'vit-pcm', 'vit_pcm_maps'),
    Row('ToCo', 'toco', 'toco_maps', final='test_crf'),
    # no CRF follows their walk
    Row('MCTformer V2', 'mctformer-v2', 'mctformer_maps', crf=''),
    Row('MCTformer+', 'mctformer-plus', 'mctformer_maps', crf=''),
    Row('APC', 'apc', 'apc_maps', final='test_crf'),
)
COLUMNS = (
    ('CAM', 'maps', 'mIoU'),
    ('m_FP', 'maps', 'm_FP'),
    ('m_FN', 'maps', 'm_FN'),
    ('after PAR', 'par', 'mIoU'),
    ('after the walk', 'walk', 'mIoU'),
    ('after the CRF', 'crf', 'mIoU'),
    ('segmentation', 'final', 'mIoU'),
)
BUDGET = ('training images', 'training time')


def run_folder(work_dir: Path, pipeline: str, seed: int) -> Path:
    """Return the folder of a pipeline with a seed.

    Args:
        work_dir: Of all.
        pipeline: Name of the config.
        seed: Of its trainings.
    """
    return work_dir / pipeline / f'seed{seed}'


def cell(values: Sequence[float | None], show: Callable[[float], str] = number) -> str:
    """Return the mean of several runs and the values; no mean where one is missing.

    Args:
        values: One a run, None where it was not measured.
        show: Returns a value as text.

    Example:
        >>> cell([55.144, 55.21, 53.32])
        '54.56 (55.14, 55.21, 53.32)'
        >>> cell([55.144, None]), cell([55.144]), cell([None, None])
        ('55.14, not run', '55.14', 'not run')
    """
    found = [value for value in values if value is not None]
    if not found:
        return NOT_RUN
    shown = ', '.join(NOT_RUN if value is None else show(value) for value in values)
    if len(found) < len(values) or len(values) == 1:
        return shown
    return f'{show(mean(found))} ({shown})'


def _figure(folder: Path, stage: str, split: str, metric: str) -> float | None:
    record = read_record(folder / stage / MANIFEST) or {}
    return record.get('figures', {}).get(split, {}).get(metric)


def _trained(folder: Path, trainings: Sequence[str]) -> tuple[int, float] | None:
    """Return images seen and seconds of trainings together, None unless all are finished."""
    records = [read_record(folder / name / MANIFEST) for name in trainings]
    finished = [record for record in records if record is not None]
    if len(finished) < len(trainings):
        return None
    # the batch is that of all processes
    seen = [images_seen(record['settings']['config']) for record in finished]
    return sum(seen), sum(record['seconds'] for record in finished)


def _budget_cells(trained: Sequence[tuple[int, float] | None]) -> list[str]:
    """Return how many images were seen, the same with every seed, and the times."""
    seen = {run[0] for run in trained if run is not None}
    images = ', '.join(f'{count:,}' for count in sorted(seen)) or NOT_RUN
    return [images, cell([None if run is None else run[1] for run in trained], clock)]


def _row_cells(
    row: Row, stages: Mapping[str, str], folders: Sequence[Path], split: str
) -> list[str]:
    cells = []
    for _, column, metric in COLUMNS:
        stage = getattr(row, column)
        values = [_figure(folder, stage, split, metric) for folder in folders]
        cells.append(cell(values) if stage in stages else NO_STAGE)
    trainings = row.trainings or [name for name, kind in stages.items() if kind == 'Train']
    return cells + _budget_cells([_trained(folder, trainings) for folder in folders])


def _shown_stages(config: str) -> dict[str, str]:
    """Return the types of the stages of a pipeline, those that the table may show."""
    return {
        name: stage['type']
        for name, stage in read_pipeline(config).stages.items()
        # pseudo masks stand in the column of the CRF
        if stage['type'] != 'MakePseudoMasks' or stage.get('crf')
    }


def table_rows(
    size: Size, work_dir: Path, seeds: Sequence[int], configs: Path
) -> dict[str, list[str]]:
    """Return the cells of every method that has a pipeline.

    Args:
        size: Of the networks.
        work_dir: Folder of all results.
        seeds: Of the runs.
        configs: Folder of the pipelines.

    Raises:
        UsageError: a manifest is damaged.
    """
    stages = {m: _shown_stages(f'{configs}/{name}.py') for m, name in size.pipelines.items()}
    rows = {}
    for row in ROWS:
        there = stages.get(row.method, {})
        if there and there.keys() >= set(row.trainings):
            pipeline = size.pipelines[row.method]
            folders = [run_folder(work_dir, pipeline, seed) for seed in seeds]
            rows[row.name] = _row_cells(row, there, folders, size.split)
    return rows


def make_table(rows: Mapping[str, Sequence[str]], seeds: Sequence[int]) -> str:
    r"""Return the table in Markdown, or that there is nothing to show.

    Args:
        rows: Of :func:`table_rows`.
        seeds: Of the runs.

    Example:
        >>> make_table({'SEAM': ['-', 'not run']}, [0])
        'Not run.\n'
    """
    if {value for cells in rows.values() for value in cells} <= {NOT_RUN, NO_STAGE}:
        return 'Not run.\n'
    names = ', '.join(map(str, seeds))
    what = f'mean of seeds {names} (and each)' if len(seeds) > 1 else f'seed {names}'
    lines = [[what, *(name for name, *_ in COLUMNS), *BUDGET]]
    lines += [['---'] * len(lines[0]), *([name, *cells] for name, cells in rows.items())]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def put_between(text: str, marker: str, table: str) -> str:
    r"""Return a page with another table behind a marker.

    Args:
        text: The page.
        marker: Line behind which the table begins; it ends at ``<!-- end -->``.
        table: The table.

    Raises:
        UsageError: there is no such line.

    Example:
        >>> put_between('a\n<!-- x -->\nold\n<!-- end -->\nb', '<!-- x -->', 'new\n')
        'a\n<!-- x -->\n\nnew\n\n<!-- end -->\nb'
    """
    before, found, rest = text.partition(f'{marker}\n')
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise UsageError(f'the page has no line {marker} with {END} behind it: add both.')
    return f'{before}{found}\n{table}\n{closed}{after}'
