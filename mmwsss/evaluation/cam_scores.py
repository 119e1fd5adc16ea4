"""Comparison of files of maps with ground-truth masks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmwsss.datasets.decoding import turned_note
from mmwsss.datasets.masks import IGNORE_INDEX, read_mask

from .cam_curve import CAMCurve, cam_histogram, check_thresholds
from .cam_files import CAMFileError, read_cam_file
from .mask_scores import mask_figures

SparseCounts = tuple[NDArray[np.int64], NDArray[np.int64]]


def count_cam_file(
    paths: tuple[str, str], num_classes: int, thresholds: tuple[float, ...], *, erosion: int = 0
) -> SparseCounts:
    """Compare the maps of a file with the ground truth.

    Args:
        paths: File in the ``npz`` layout, and mask of the ground truth.
        num_classes: Number of classes including background.
        thresholds: Background scores, see :func:`~mmwsss.evaluation.cam_curve.check_thresholds`.
        erosion: As in :func:`~mmwsss.evaluation.cam_histogram`.

    Returns:
        Positions and values of the nonzero entries of :func:`~mmwsss.evaluation.cam_histogram`,
        which are few and thus cheap to send between processes.

    Raises:
        CAMFileError: the file is damaged, or belongs to another image or other classes.
        MaskError: the mask cannot be read, or a value is no class.
        FileNotFoundError: the file of maps does not exist.
    """
    cam_path, mask_path = paths
    keys, cams = read_cam_file(cam_path, num_classes)
    mask = read_mask(mask_path, num_classes)[0]
    if cams.shape[1:] != mask.shape:
        raise CAMFileError(
            f'{cam_path}: the maps are {cams.shape[2]} x {cams.shape[1]} where the mask '
            f'{mask_path} is {mask.shape[1]} x {mask.shape[0]}'
            f'{turned_note(cams.shape[1:], mask.shape)}: give maps and masks of the same images.'
        )
    order = keys.argsort()  # of equal scores that of the first class counts
    try:
        counts = cam_histogram(
            torch.from_numpy(cams[order]),
            torch.from_numpy(mask),
            check_thresholds(thresholds),
            ignore=IGNORE_INDEX,
            keys=torch.from_numpy(keys[order]),
            num_classes=num_classes,
            erosion=erosion,
        )
    except ValueError as error:
        raise CAMFileError(
            f'{cam_path}: {error}: delete it and run tools/make_cams.py again.'
        ) from error
    counts = counts.flatten()
    found = counts.nonzero().flatten()
    return found.numpy(), counts[found].numpy()


def sum_counts(
    parts: Iterable[SparseCounts], num_classes: int, num_thresholds: int
) -> NDArray[np.int64]:
    """Sum the histograms of images.

    Args:
        parts: Positions and values of the nonzero entries of each image.
        num_classes: Number of classes including background.

    Shapes:
        returns: ``(num_classes, num_classes - 1, num_thresholds + 1)`` int64.
    """
    total = np.zeros((num_classes, num_classes - 1, num_thresholds + 1), dtype=np.int64)
    flat = total.reshape(-1)
    for positions, values in parts:
        flat[positions] += values
    return total


def curve_figures(curve: CAMCurve, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the metrics at the best background score.

    Args:
        curve: Curve of all images.
        classes: Names of the classes, background first.

    Returns:
        The metrics of :func:`~mmwsss.evaluation.mask_scores.mask_figures` at this background
        score, and the score as ``threshold``.

    Example:
        >>> from mmwsss.evaluation import cam_curve
        >>> counts = np.zeros((2, 1, 3), dtype=np.int64)
        >>> counts[1, 0] = 1, 2, 3  # of six pixels of a dog five exceed 0.2, three 0.3
        >>> curve_figures(cam_curve(counts, [.2, .3]), ('background', 'dog'))['classes']['dog']
        {'IoU': 83.3333, 'precision': 100.0, 'recall': 83.3333}
    """
    best = curve.best
    counts = np.stack([curve.tp[best], curve.pred[best], curve.gt[best]])
    return dict(threshold=float(curve.thresholds[best]), **mask_figures(counts, classes))
