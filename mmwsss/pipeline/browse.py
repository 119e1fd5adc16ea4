"""Where the files lie that browse_cams.py shows: in a pipeline's work dir, or in named folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmwsss.cli.cam_tasks import find_images
from mmwsss.cli.evaluate_folders import evaluate_maps
from mmwsss.datasets.class_palettes import ClassPalette
from mmwsss.errors import UsageError
from mmwsss.pipeline.results import RESULTS
from mmwsss.utils import read_utf8
from mmwsss.visualization.cam_rows import Column, ImageFiles
from mmwsss.visualization.report_data import MAPS, SUFFIXES
from mmwsss.visualization.report_pictures import files_by_name


class Sources(NamedTuple):
    """Folders that a page is made of.

    Args:
        title: Of the page.
        columns: Folders with a file an image.
        images: Folder of the images.
        truth: Folder of the true masks, None where there is none.
        classes: Names and colours, None where the results do not say them.
    """

    title: str
    columns: list[Column]
    images: str
    truth: str | None
    classes: ClassPalette | None


def read_results(work_dir: str) -> dict[str, Any]:
    """Read what a pipeline wrote about its stages.

    Args:
        work_dir: Folder of the pipeline.

    Raises:
        UsageError: it has no results, or they are damaged.
    """
    path = Path(work_dir, RESULTS)
    try:
        content = json.loads(read_utf8(path))
        content['stages'].items()
    except FileNotFoundError as error:
        raise UsageError(
            f'{work_dir} has no {RESULTS}: give the --work-dir of a pipeline that ended, or the '
            'folders with --cams, --walks, --masks and --predictions.'
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f'{path} is damaged: run tools/run_pipeline.py again, which writes it.'
        ) from error
    return content


def _last_split(stages: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the split of the last figure, or else of the last files."""
    for key in ('figures', 'files'):
        if found := [split for stage in stages.values() for split in stage[key]]:
            return found[-1]
    raise UsageError('The pipeline has made no files of images yet; let it go on.')


def pipeline_sources(work_dir: str, split: str | None, images: str | None) -> Sources:
    """Return the folders of a pipeline.

    Args:
        work_dir: Its folder.
        split: Whose images, None for those of the last figure.
        images: Folder of the images where it is not that of the results.

    Raises:
        UsageError: there are no results, or none of the split.
    """
    results = read_results(work_dir)
    stages = results['stages']
    split = split or _last_split(stages)
    columns = [
        Column(
            name,
            stage['makes'],
            Path(work_dir, name, split),
            stage['figures'].get(split, {}).get('threshold'),
        )
        for name, stage in stages.items()
        if stage['makes'] in SUFFIXES and split in stage['files']
    ]
    if not columns:
        known = sorted({name for stage in stages.values() for name in stage['files']})
        raise UsageError(f'{work_dir} has no files of --split {split}; it has {", ".join(known)}.')
    folders = results.get('splits', {}).get(split, {})
    masks, classes = folders.get('masks'), results.get('classes')
    if not (images or folders):
        raise UsageError(
            f'{Path(work_dir, RESULTS)} does not say where the images are: give --images, and '
            '--gt and --data-root, --classes or --config, too.'
        )
    return Sources(
        f'{results["title"]}, {split}',
        columns,
        images or folders['images'],
        masks if masks and Path(masks).is_dir() else None,
        None if classes is None else ClassPalette(tuple(classes['names']), classes['palette']),
    )


def folder_sources(
    folders: Mapping[str, tuple[str, str | None]], images: str | None, title: str
) -> Sources:
    """Return folders that the command line names.

    Args:
        folders: By heading the kind of the files and the folder, None where it is not named.
        images: Folder of the images.
        title: Of the page.

    Raises:
        UsageError: none is named, or no images.
    """
    columns = [Column(name, kind, Path(path)) for name, (kind, path) in folders.items() if path]
    if not columns:
        raise UsageError(
            'Give the work dir of a pipeline, or folders with --cams, --walks, --masks or '
            '--predictions.'
        )
    if images is None:
        raise UsageError('Folders need --images, the folder of the images that they are of.')
    return Sources(title, columns, images, None, None)


def config_classes(cfg: Any) -> ClassPalette:
    """Return the classes and colours of a config's data set.

    Args:
        cfg: Config with ``test_dataloader`` or ``train_dataloader``.

    Raises:
        UsageError: it has no data set, or one that cannot be built.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    loader = cfg.get('test_dataloader') or cfg.get('train_dataloader')
    if not loader:
        raise UsageError(f'--config {cfg.filename} has no data set; name the classes instead.')
    options = loader['dataset']
    try:
        meta = DATASETS.build({**options, 'pipeline': [], 'lazy_init': True}).metainfo
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f'--config {cfg.filename}: {error}') from error
    return ClassPalette(tuple(meta['classes']), [list(color) for color in meta['palette']])


def find_tasks(sources: Sources) -> list[ImageFiles]:
    """Return the images that every column has a file of.

    Args:
        sources: The folders.

    Raises:
        UsageError: a folder is empty, they have no image in common, or images are missing.
    """
    files = []
    for column in sources.columns:
        suffix = SUFFIXES[column.kind]
        files.append(files_by_name(column.folder, suffix))
        if not files[-1]:
            raise UsageError(f'{column.folder} holds no {column.kind} ({suffix}); check the path.')
    names = sorted(set(files[0]).intersection(*files[1:]))
    if not names:
        folders = ', '.join(str(column.folder) for column in sources.columns)
        raise UsageError(f'No image has a file in all of {folders}: name folders of one split.')
    if not Path(sources.images).is_dir():
        raise UsageError(f'There is no folder of images {sources.images}; give it with --images.')
    images = find_images(sources.images, names)
    truths = _find_truths(sources.truth)
    return [
        ImageFiles(
            name,
            images[name],
            tuple(str(found[name]) for found in files),
            str(truths[name]) if name in truths else None,
        )
        for name in names
    ]


def _find_truths(folder: str | None) -> dict[str, Path]:
    if folder is None:
        return {}
    found = files_by_name(Path(folder), '.png')
    if not found:
        raise UsageError(f'{folder} holds no masks (.png); check --gt.')
    return found


def with_best_scores(
    columns: Sequence[Column],
    tasks: Sequence[ImageFiles],
    truth: str,
    classes: Sequence[str],
    *,
    workers: int,
) -> list[Column]:
    """Give folders of maps the background score at which they agree best with the truth.

    Args:
        columns: The folders.
        tasks: The images.
        truth: Folder of the true masks.
        classes: Names, background first.
        workers: Number of processes.

    Raises:
        UsageError: a file is damaged, or of another image.
    """
    names = [task.name for task in tasks if task.truth is not None]
    if not names:
        return list(columns)
    return [
        column._replace(
            bg_score=evaluate_maps(column.folder, truth, classes, names=names, workers=workers)[0][
                'threshold'
            ]
        )
        if column.kind == MAPS and column.bg_score is None
        else column
        for column in columns
    ]
