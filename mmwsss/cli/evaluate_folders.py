"""Figures of a folder of masks or maps, compared with a folder of true masks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmwsss.cli.mask_tools import work_through
from mmwsss.datasets.folder_files import FolderFiles, list_folder
from mmwsss.datasets.image_level_dataset import line_image, read_split
from mmwsss.datasets.image_names import ImageNames, image_name
from mmwsss.errors import UsageError
from mmwsss.evaluation.cam_curve import DEFAULT_THRESHOLDS, CAMCurve, cam_curve
from mmwsss.evaluation.cam_scores import count_cam_file, curve_figures, sum_counts
from mmwsss.evaluation.mask_scores import count_files, mask_figures, truth_note
from mmwsss.utils import short_list

Folder = str | os.PathLike[str]


def read_names(path: Folder) -> list[str]:
    """Return the names of images that a text file lists.

    Args:
        path: Text file, one image a line, with or without folder and extension.

    Raises:
        UsageError: the file is missing or empty, or names an image twice.
    """
    try:
        names = [image_name(line_image(line)) for line, _ in read_split(os.fspath(path))]
    except OSError as error:
        raise UsageError(
            f'{path} cannot be read; give a text file with the name of one image a line.'
        ) from error
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice or not names:
        problem = f'{short_list(twice)} twice' if twice else 'no image'
        raise UsageError(
            f'{path} names {problem}; give a file with the name of one image a line, each once.'
        )
    return names


def _list_files(folder: Folder, kind: str, suffix: str) -> FolderFiles:
    """Return the files of a folder and its subfolders, and say which are not used."""
    files = list_folder(folder, (suffix,)) if os.path.isdir(folder) else None
    if files is None or not files.names:
        hint = files.hint(kind) if files else ''
        raise UsageError(f'{folder} holds no {kind} ({suffix}); check the path.{hint}')
    if note := files.note(kind):
        print(note)
    return files


def _find_pairs(
    pred_dir: Folder, gt_dir: Folder, names: Sequence[str] | None, *, kind: str, suffix: str
) -> list[tuple[str, str]]:
    """Return the paths of what is compared with which true mask."""
    preds = _list_files(pred_dir, kind, suffix)
    targets = _list_files(gt_dir, 'masks', '.png')
    advice = 'make them' if names else 'make them, or name the images with --split'
    others: list[str] = []
    if names is None:
        names = list(preds.images.paths)
        others = [name for name in targets.images.paths if preds.images.find(name) is None]
    images = ImageNames([*names, *others])
    found = preds.of(images), targets.of(images)
    wanted = sorted(dict.fromkeys(images.of.values()))
    for files, paths, what in ((preds, found[0], kind), (targets, found[1], 'masks')):
        missing = [name for name in wanted if name not in paths]
        if missing:
            raise UsageError(
                f'{files.folder} lacks {len(missing)} of {len(wanted)} {what} '
                f'({short_list(missing)}): {advice}.'
            )
    return [(found[0][name], found[1][name]) for name in wanted]


def _check_truth(true: NDArray[np.int64], gt_dir: Folder) -> None:
    """Refuse true masks of which no pixel counts: every figure would be 0."""
    if not true.sum():
        raise UsageError(f'{gt_dir}: {truth_note(true)}')


def evaluate_masks(
    pred_dir: Folder,
    gt_dir: Folder,
    classes: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    workers: int,
    erosion: int = 0,
) -> dict[str, Any]:
    """Compare a folder of index masks with the true ones.

    Args:
        pred_dir: Folder of the masks (PNG).
        gt_dir: Folder of the true masks (PNG).
        classes: Names, background first.
        names: The images; None takes all, and then both folders must hold the same names.
        workers: Number of processes.
        erosion: Side of the square that class masks are eroded by, see
            :func:`~mmwsss.evaluation.erosion.check_erosion`.

    Returns:
        ``pairs``, the number of images, and what
        :func:`~mmwsss.evaluation.mask_scores.mask_figures` gives.

    Raises:
        UsageError: a folder is empty, a file is missing, damaged, of another size or holds what
            is no class, no pixel of the true masks counts, or ``workers`` is not positive.
    """
    pairs = _find_pairs(pred_dir, gt_dir, names, kind='masks', suffix='.png')
    function = partial(count_files, num_classes=len(classes), erosion=erosion)
    counts = np.zeros((3, len(classes)), np.int64)
    for count in work_through(function, pairs, workers=workers, description='masks'):
        counts += count
    _check_truth(counts[2], gt_dir)
    return dict(pairs=len(pairs), **mask_figures(counts, classes))


def evaluate_maps(
    cam_dir: Folder,
    gt_dir: Folder,
    classes: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    workers: int,
    erosion: int = 0,
) -> tuple[dict[str, Any], CAMCurve]:
    """Compare a folder of maps, or walks, with true masks at every background score.

    Args:
        cam_dir: Folder of the files (``.npz``).
        gt_dir: Folder of the true masks (PNG).
        classes: Names, background first.
        names: The images; None takes all, and then both folders must hold the same names.
        workers: Number of processes.
        erosion: Side of the square that class masks are eroded by, see
            :func:`~mmwsss.evaluation.erosion.check_erosion`.

    Returns:
        The figures at the best background score, as :func:`evaluate_masks` gives them, with the
        score as ``threshold``; and those at every score.

    Raises:
        UsageError: see :func:`evaluate_masks`.
    """
    pairs = _find_pairs(cam_dir, gt_dir, names, kind='maps', suffix='.npz')
    settings = dict(thresholds=DEFAULT_THRESHOLDS, erosion=erosion)
    function = partial(count_cam_file, num_classes=len(classes), **settings)
    parts = work_through(function, pairs, workers=workers, description='maps')
    counts = sum_counts(parts, len(classes), len(DEFAULT_THRESHOLDS))
    curve = cam_curve(counts, DEFAULT_THRESHOLDS)
    _check_truth(curve.gt[0], gt_dir)
    return dict(pairs=len(pairs), **curve_figures(curve, classes)), curve
