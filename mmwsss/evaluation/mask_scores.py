"""Comparison of masks with ground-truth masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmseg.evaluation import IoUMetric
from numpy.typing import NDArray
from prettytable import PrettyTable
from torch import Tensor

from mmwsss.datasets.decoding import turned_note
from mmwsss.datasets.masks import IGNORE_INDEX, MaskError, read_mask

from .cam_curve import CAMCurve
from .erosion import erode_mask


def _histogram(values: Tensor, num_classes: int) -> Tensor:
    values = values[(values >= 0) & (values < num_classes)]
    return torch.bincount(values.long(), minlength=num_classes).cpu()


def class_areas(
    pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Count the pixels of each class exactly, in integers.

    MMSegmentation's ``IoUMetric.intersect_and_union`` counts in float32, which is inexact above
    16,777,216 pixels, in one image or in the sum of many.

    Args:
        num_classes: Number of classes including background; other values belong to no class.
        ignore_index: Value of the ground truth to ignore.

    Shapes:
        pred_label, label: the same, integers.
        returns: pixels of the intersection, the union, the prediction and the ground truth,
            ``(num_classes,)`` int64 each.

    Example:
        >>> areas = class_areas(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 255]), 2, 255)
        >>> [area.tolist() for area in areas]
        [[1, 0], [2, 1], [1, 1], [2, 0]]
    """
    kept = label != ignore_index
    pred_label, label = pred_label[kept], label[kept]
    both = _histogram(label[pred_label == label], num_classes)
    pred, true = (_histogram(values, num_classes) for values in (pred_label, label))
    return both, pred + true - both, pred, true


def install_exact_counts() -> None:
    """Make MMSegmentation's ``IoUMetric`` and its subclasses count in integers."""
    IoUMetric.intersect_and_union = staticmethod(class_areas)


def mask_counts(
    pred: NDArray[np.uint8], target: NDArray[np.uint8], num_classes: int
) -> NDArray[np.int64]:
    """Count the true positives, the predicted pixels and the true pixels of each class.

    Pixels whose ground truth is 255 are ignored. A prediction of 255 belongs to no class: such a
    pixel counts only for its true class.

    Args:
        target: Ground truth.
        num_classes: Number of classes including background.

    Shapes:
        pred, target: ``(H, W)`` uint8.
        returns: ``(3, num_classes)`` int64.

    Example:
        >>> pred, target = np.uint8([[0, 1, 1, 255]]), np.uint8([[0, 1, 255, 1]])
        >>> mask_counts(pred, target, 2).tolist()
        [[1, 1], [1, 1], [1, 2]]
    """
    both = torch.from_numpy(pred), torch.from_numpy(target)
    areas = class_areas(*both, num_classes, IGNORE_INDEX)
    return torch.stack([areas[i] for i in (0, 2, 3)]).numpy()


def count_files(paths: tuple[str, str], num_classes: int, *, erosion: int = 0) -> NDArray[np.int64]:
    """Compare two files, see :func:`mask_counts`.

    Args:
        paths: Predicted and ground-truth mask.
        num_classes: Number of classes including background.
        erosion: Side of the square by which predicted classes are eroded, see
            :func:`~mmwsss.evaluation.erosion.erode_mask`.

    Raises:
        MaskError: a mask cannot be read, a value is no class, or the sizes differ.
    """
    pred, target = (read_mask(path, num_classes)[0] for path in paths)
    if pred.shape != target.shape:
        raise MaskError(
            f'mask {paths[0]} is {pred.shape[1]} x {pred.shape[0]} where {paths[1]} is '
            f'{target.shape[1]} x {target.shape[0]}{turned_note(pred.shape, target.shape)}: give '
            'masks of the same images.'
        )
    pred = erode_mask(torch.from_numpy(pred), erosion).numpy()
    return mask_counts(pred, target, num_classes)


def truth_note(true: Sequence[int] | NDArray[np.int64] | Tensor) -> str:
    """Return a warning if the ground truth makes the metrics meaningless, otherwise ``''``.

    Args:
        true: Pixels of each class in the ground truth, background first, without ignored ones.

    Example:
        >>> truth_note([5, 1])
        ''
    """
    if not int(sum(true)):
        return (
            f'No pixel of the true masks counts: all are {IGNORE_INDEX}, which means ignored; '
            'write the number of its class (0 background, 1 the first class) into each pixel.'
        )
    if not int(sum(true[1:])):
        return (
            'The true masks show nothing but background, so the figures say nothing of a class: '
            f'where {IGNORE_INDEX}, which means ignored, marks a class, write its number in its '
            'place (1 for the first class).'
        )
    return ''


def _number(value: float, digits: int = 4) -> float | None:
    """Return a rounded number, or None for NaN, which JSON does not support."""
    return round(float(value), digits) if math.isfinite(value) else None


def mask_figures(counts: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    """Compute the metrics of all pairs of masks.

    Args:
        counts: Sum of the results of :func:`mask_counts`.
        classes: Names of the classes, background first.

    Returns:
        In per cent: ``mIoU`` (over all classes, as published; absent classes count as 0),
        ``mIoU_present`` (without absent classes), ``undecided``, the fraction of pixels without a
        class, and ``FP`` and ``FN``, fractions of the union, averaged over all classes (Chen et
        al., 2022, Tables 12 and 13). Also ``m_FP`` and ``m_FN`` (Wang et al., CVPR 2020, Eqs. 13
        and 14), and ``classes``: ``IoU``, ``precision`` and ``recall`` by name, in per cent.
        Undefined values are None. ``note`` is the warning of :func:`truth_note`, if any.

    Shapes:
        counts: ``(3, K + 1)`` int64.

    Example:
        >>> figures = mask_figures(np.array([[3, 1], [4, 1], [3, 3]]), ['background', 'dog'])
        >>> figures['mIoU'], figures['classes']['dog']
        (54.1667, {'IoU': 33.3333, 'precision': 100.0, 'recall': 33.3333})
    """
    tp, pred, gt = counts
    curve = CAMCurve(np.array([np.nan]), tp[None], pred[None], gt[None])
    present = gt + pred > 0
    with np.errstate(divide='ignore', invalid='ignore'):
        rates = dict(IoU=tp / (gt + pred - tp), precision=tp / pred, recall=tp / gt)
        undecided = 1 - pred.sum() / gt.sum()
        found = rates['IoU'][present].mean() if present.any() else np.nan
    note = truth_note(gt)
    return dict(
        **(dict(note=note) if note else {}),
        mIoU=_number(curve.miou[0] * 100),
        mIoU_present=_number(found * 100),
        m_FP=_number(curve.m_fp[0]),
        m_FN=_number(curve.m_fn[0]),
        FP=_number(curve.fp[0] * 100),
        FN=_number(curve.fn[0] * 100),
        undecided=_number(undecided * 100),
        classes={
            name: {key: _number(rate[i] * 100) for key, rate in rates.items()}
            for i, name in enumerate(classes)
        },
    )


def figures_table(figures: dict[str, Any]) -> str:
    """Format the metrics of the classes, see :func:`mask_figures`, as a table."""
    table = PrettyTable(['Class', 'IoU', 'precision', 'recall'])
    table.align['Class'] = 'l'
    for name, rates in figures['classes'].items():
        table.add_row([name, *('-' if x is None else f'{x:.2f}' for x in rates.values())])
    return table.get_string()
