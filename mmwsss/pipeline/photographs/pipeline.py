"""The pipeline for a folder of tagged photographs, made of one for a known data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmwsss.cli.launch import read_config
from mmwsss.datasets import ImageEntry
from mmwsss.datasets.label_writers import write_image_labels
from mmwsss.errors import UsageError
from mmwsss.utils import atomic_write

from ..children import readable
from ..schedules import ITERATIONS
from ..tool_configs import find_config, flat_options
from .configs import OwnData, input_size, largest_size, own_config
from .folder import OwnFolder, check_folder
from .images import fit_images, flat_name, usual_size

SPLIT = 'train'
DATA_STAGES = ('DrawEmblems',)
# folders that are named after the one that they lie in
GENERIC = ('images', 'jpegimages', 'photos', 'photographs', 'pictures')


def write_if_new(path: Path, text: str) -> None:
    """Write a text file unless it holds that text.

    Args:
        path: The file.
        text: Its content.
    """
    if path.is_file() and path.read_bytes() == text.encode(errors='surrogateescape'):
        return
    with atomic_write(path, 'w') as file:
        file.write(text)


def _write_names(path: Path, entries: Sequence[ImageEntry]) -> str:
    write_if_new(path, ''.join(f'{os.path.basename(entry.img_path)}\n' for entry in entries))
    return str(path)


def _write_tags(folder: OwnFolder, work_dir: str) -> str:
    """Write the tags under the names of the copies, which have no folders."""
    tags = {flat_name(entry): folder.tags[entry.image_id] for entry in folder.entries}
    path = Path(work_dir, 'configs', 'tags.json')
    write_image_labels(path, tags, folder.classes)
    return str(path)


def own_work_dir(config: str, images: str) -> str:
    """Return the folder of the results where the user names none.

    Args:
        config: The template.
        images: Folder of the photographs.

    Example:
        >>> own_work_dir('configs/pipelines/seam_r38_voc.py', 'data/animals/images')
        'work_dirs/seam_r38_voc-animals'
    """
    folder = Path(images).resolve()
    name = folder.parent.name if folder.name.lower() in GENERIC else folder.name
    return str(Path('work_dirs', f'{Path(config).stem}-{name}'))


def final_model(stages: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the name of the training whose model segments new pictures.

    Args:
        stages: Of the pipeline, by name.

    Raises:
        UsageError: there is no training.

    Example:
        >>> final_model(dict(seam=dict(type='Train'), test=dict(type='Test', model='seam')))
        'seam'
    """
    trained = [name for name, stage in stages.items() if stage['type'] == 'Train']
    if not trained:
        raise UsageError('The pipeline has no stage Train: name one that trains a model.')
    tested = [stage['model'] for stage in stages.values() if stage['type'] == 'Test']
    return [*trained, *(name for name in tested if name in trained)][-1]


def apply_command(work_dir: str, tools: Path = Path('tools')) -> list[str]:
    """Return the command line that segments a folder of new pictures.

    Args:
        work_dir: Folder of the pipeline, whose final model is taken.
        tools: Folder of the tools.

    Example:
        >>> command = apply_command('work_dirs/animals')
        >>> command[:5]
        ['python', 'tools/infer.py', 'NEW_FOLDER', '--work-dir', 'work_dirs/animals']
        >>> command[5:]
        ['--out-dir', 'out']
    """
    start = ['python', readable(tools / 'infer.py'), 'NEW_FOLDER']
    return [*start, '--work-dir', work_dir, '--out-dir', 'out']


class _Writer:
    """Writes the configs of the trainings."""

    def __init__(self, data: OwnData, work_dir: str, final: str, tools: Path) -> None:
        self.data, self.work_dir, self.final, self.tools = data, work_dir, final, tools

    def stage(self, name: str, stage: Mapping[str, Any]) -> dict[str, Any]:
        """Return the stage for the photographs, its config written."""
        out = dict(stage)
        if 'splits' in out:
            out['splits'] = [SPLIT]
        if out['type'] == 'Train':
            out['config'] = self.config(name, out)
            out.pop('options', None)
        return out

    def config(self, name: str, stage: Mapping[str, Any]) -> str:
        """Write the config of a training and return its path."""
        template, iters = read_template(stage, self.tools)
        cfg = own_config(template, self.data, untagged=name == self.final, iters=iters)
        path = Path(self.work_dir, 'configs', f'{name}.py')
        head = (
            f'"""Stage {name} on photographs, written by run_pipeline.py of {stage["config"]}."""'
        )
        write_if_new(path, f'{head}\n\n{cfg.dump()}')
        return str(path)


def read_template(stage: Mapping[str, Any], tools: Path) -> tuple[Config, int | None]:
    """Return the config of a training of the template, with the options of the stage.

    Args:
        stage: A stage ``Train``.
        tools: Folder of the tools.

    Returns:
        The config as it was made for its own data set, and the number of iterations where the
        options set it.

    Raises:
        UsageError: it is missing or wrong.
    """
    path = find_config(stage['config'], tools)
    options = flat_options(stage.get('options') or {})
    iters = options.pop(ITERATIONS, None)
    return read_config(path, options), iters


def _describe(
    folder: OwnFolder, entries: Sequence[ImageEntry], max_size: int, work_dir: str
) -> OwnData:
    """Write the lists of the photographs and return what the configs need to know of them."""
    masked = [entry for entry in entries if entry.seg_map_path is not None]
    lists = Path(work_dir, 'configs')
    return OwnData(
        classes=folder.classes,
        images=os.path.dirname(entries[0].img_path),
        photographs=_write_names(lists / 'photographs.txt', entries),
        num_images=len(entries),
        labels=folder.labels,
        max_size=max_size,
        masks=os.path.dirname(str(masked[0].seg_map_path)) if masked else None,
        masked=_write_names(lists / 'photographs_with_masks.txt', masked) if masked else None,
    )


def _say_sizes(
    entries: Sequence[ImageEntry], trained: Sequence[Config], say: Callable[[str], None]
) -> tuple[int, int]:
    """Say how large the photographs and the crops are, and return the former's median."""
    height, width = usual_size(entries)
    crops = ', '.join(str(side) for side in dict.fromkeys(map(input_size, trained)))
    say(f'Photographs of {width} x {height} pixels (median), trained on crops of {crops}.')
    return height, width


def _stages(template: Config) -> dict[str, Any]:
    """Return the stages of a template but those that make its data."""
    stages = template.to_dict().get('stages', {})
    return {name: stage for name, stage in stages.items() if stage['type'] not in DATA_STAGES}


def _split(data: OwnData) -> dict[str, Any]:
    masks = {} if data.masks is None else dict(masks=data.masks, names=data.masked)
    return dict(split=data.photographs, images=data.images, **masks)


def own_pipeline(
    template: Config,
    *,
    images: str,
    labels: str,
    masks: str | None = None,
    classes: Sequence[str] | None = None,
    work_dir: str,
    tools: Path,
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> Config:
    """Return the pipeline of a template for a folder of tagged photographs.

    The photographs are checked, copied where they are too large, and for every training a config
    is written that works with ``tools/train.py`` and ``tools/test.py`` alone:
    ``{work_dir}/configs/{stage}.py``.

    Args:
        template: Config of a pipeline.
        images: Folder of the photographs, subfolders too.
        labels: Their tags.
        masks: Folder of true masks of some or all of them, for evaluation alone.
        classes: Names of the classes, see :func:`~.folder.check_folder`.
        work_dir: Folder of the pipeline.
        tools: Folder of the tools.
        workers: Number of processes.
        say: Gets each note.

    Raises:
        UsageError: something is wrong with the photographs, the tags, the masks or the template.
    """
    work_dir = str(Path(work_dir))
    stages = _stages(template)
    final = final_model(stages)
    folder = check_folder(
        images, labels, masks=masks, classes=classes, work_dir=work_dir, workers=workers, say=say
    )
    trained = [
        read_template(stage, tools)[0] for stage in stages.values() if stage['type'] == 'Train'
    ]
    # what guides the network that makes maps may see less of a photograph
    seeing = [cfg for cfg in trained if 'cam_head' in cfg.model] or trained
    size = largest_size(seeing[0])
    entries = fit_images(folder.entries, work_dir, size, workers=workers)
    if entries != list(folder.entries):
        say(
            f'The stages read copies in {os.path.dirname(entries[0].img_path)}: photographs of at '
            f'most {size} pixels, in one folder.'
        )
    image_size = _say_sizes(entries, trained, say)
    renamed = (a.name != b.image_id for a, b in zip(folder.entries, entries, strict=True))
    if any(renamed):
        folder = replace(folder, labels=_write_tags(folder, work_dir))
    data = _describe(folder, entries, size, work_dir)
    writer = _Writer(data, work_dir, final, tools)
    own_stages = {name: writer.stage(name, stage) for name, stage in stages.items()}
    return Config(
        dict(
            title=f'{template.get("title") or "Pipeline"}: {len(entries)} photographs of {images}',
            classes=list(folder.classes),
            seed=template.get('seed', 0),
            splits={SPLIT: _split(data)},
            stages=own_stages,
            notes=list(folder.notes),
            apply=apply_command(work_dir, tools),
            num_images=len(entries),
            image_size=image_size,
        ),
        filename=template.filename,
    )
