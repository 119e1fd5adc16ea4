"""Figures of what a stage made, where there are true masks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmwsss.cli.evaluate_folders import evaluate_maps, evaluate_masks, read_names
from mmwsss.datasets.folder_files import list_folder
from mmwsss.datasets.image_names import ImageNames
from mmwsss.errors import UsageError
from mmwsss.evaluation import write_curve
from mmwsss.utils import short_list

from .digests import digest
from .manifests import unwritable
from .pipeline import Split
from .stage import Stage

MASKS = ('masks', 'predictions')


def _measurable(stage: Stage) -> list[str]:
    return stage.splits if stage.makes in ('maps', *MASKS) else []


def unevaluated(stage: Stage) -> dict[str, str]:
    """Return the sentence for each split of a stage whose true masks are not there.

    Args:
        stage: The stage.
    """
    splits = [stage.pipeline.splits[name] for name in _measurable(stage)]
    return {
        split.name: f'{split.name} is not evaluated: there is no folder {split.masks}.'
        for split in splits
        if split.masks and not Path(split.masks).is_dir()
    }


def _names(folder: Path, split: Split, suffix: str) -> list[str]:
    if split.names:
        return read_names(split.names)
    return sorted(list_folder(folder, (suffix,)).paths()) if folder.is_dir() else []


def truths(stage: Stage) -> dict[str, str]:
    """Return what the files of a stage can be compared with, as a digest by split.

    Args:
        stage: A stage that has made its files.

    Raises:
        UsageError: the names to be evaluated cannot be read, or lack a true mask.
    """
    found = {}
    for name in _measurable(stage):
        split = stage.pipeline.splits[name]
        if not split.masks or not Path(split.masks).is_dir():
            continue
        names = _names(stage.folder / name, split, stage.suffix)
        masks = list_folder(split.masks, ('.png',))
        images = ImageNames(names)
        paths = masks.of(images)
        if missing := [name for name in images.of.values() if name not in paths]:
            raise UsageError(
                f'split {name}: {split.masks} lacks the true masks of {len(missing)} of '
                f'{len(names)} images ({short_list(missing)}): name the images that have one in '
                f'splits.{name}.names.{masks.hint("masks")}'
            )
        sizes = [os.path.getsize(path) for path in paths.values()]
        found[name] = digest([names, sizes])
    return found


def evaluate(stage: Stage, split: str) -> dict[str, Any]:
    """Return the figures of a split; those of maps at every background score go into a file.

    Args:
        stage: A stage that has made its files.
        split: Name of the split.

    Raises:
        UsageError: a file is missing, damaged or does not fit its true mask.
    """
    folder, entry = stage.folder / split, stage.pipeline.splits[split]
    names = _names(folder, entry, stage.suffix)
    arguments = folder, str(entry.masks), stage.pipeline.classes.classes
    if stage.makes in MASKS:
        return evaluate_masks(*arguments, names=names, workers=stage.pipeline.workers)
    figures, curve = evaluate_maps(*arguments, names=names, workers=stage.pipeline.workers)
    path = curve_path(stage, split)
    try:
        write_curve(path, curve)
    except OSError as error:
        raise unwritable(path, error) from error
    return figures


def curve_path(stage: Stage, split: str) -> Path:
    """Return the file of the figures at every background score.

    Args:
        stage: A stage that makes maps.
        split: Name of the split.
    """
    return stage.folder / f'curve_{split}.csv'
