"""How well masks agree with other masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmseg.evaluation import IoUMetric
from numpy.typing import NDArray
from prettytable import PrettyTable

from mmwsss.datasets.masks import IGNORE_INDEX, MaskError, read_mask

from .cam_curve import CAMCurve


def mask_counts(
    pred: NDArray[np.uint8], target: NDArray[np.uint8], num_classes: int
) -> NDArray[np.int64]:
    """Count the pixels of each class that agree, that were predicted, and that are true.

    Pixels whose truth is 255 are left out. A prediction of 255 is no class: the pixel counts
    for its true class alone.

    Args:
        pred: Predicted mask.
        target: True mask.
        num_classes: Classes with background.

    Shapes:
        pred, target: ``(H, W)`` uint8.
        returns: ``(3, num_classes)`` int64.

    Example:
        >>> pred, target = np.uint8([[0, 1, 1, 255]]), np.uint8([[0, 1, 255, 1]])
        >>> mask_counts(pred, target, 2).tolist()
        [[1, 1], [1, 1], [1, 2]]
    """
    both = torch.from_numpy(pred), torch.from_numpy(target)
    areas = IoUMetric.intersect_and_union(*both, num_classes, IGNORE_INDEX)
    # float32, exact for one image; the sum of many would not be
    return torch.stack([areas[i] for i in (0, 2, 3)]).numpy().astype(np.int64)


def count_files(paths: tuple[str, str], num_classes: int) -> NDArray[np.int64]:
    """Compare two files, see :func:`mask_counts`.

    Args:
        paths: Predicted and true mask.
        num_classes: Classes with background.

    Raises:
        MaskError: a mask cannot be read or holds what is no class, or the sizes differ.
    """
    pred, target = (read_mask(path, num_classes)[0] for path in paths)
    if pred.shape != target.shape:
        raise MaskError(
            f'mask {paths[0]} is {pred.shape[1]} x {pred.shape[0]} where {paths[1]} is '
            f'{target.shape[1]} x {target.shape[0]}: give masks of the same images.'
        )
    return mask_counts(pred, target, num_classes)


def _number(value: float, digits: int = 4) -> float | None:
    """Return a rounded number, None where there is none: JSON knows no NaN."""
    return round(float(value), digits) if math.isfinite(value) else None


def mask_figures(counts: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    """Return the figures of all pairs.

    Args:
        counts: Sum of what :func:`mask_counts` gave.
        classes: Names, background first.

    Returns:
        In per cent ``mIoU`` (over all classes, as published: one that occurs nowhere counts as
        0), ``mIoU_present`` (without those) and ``undecided``, the share of pixels without a
        class; ``m_FP`` and ``m_FN`` (Wang et al., CVPR 2020, Eqs. 13 and 14); ``classes``, by
        name, with ``IoU``, ``precision`` and ``recall`` in per cent. What is not defined is
        None.

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
    return dict(
        mIoU=_number(curve.miou[0] * 100),
        mIoU_present=_number(found * 100),
        m_FP=_number(curve.m_fp[0]),
        m_FN=_number(curve.m_fn[0]),
        undecided=_number(undecided * 100),
        classes={
            name: {key: _number(rate[i] * 100) for key, rate in rates.items()}
            for i, name in enumerate(classes)
        },
    )


def figures_table(figures: dict[str, Any]) -> str:
    """Return the figures of the classes as a table.

    Args:
        figures: From :func:`mask_figures`.
    """
    table = PrettyTable(['Class', 'IoU', 'precision', 'recall'])
    table.align['Class'] = 'l'
    for name, rates in figures['classes'].items():
        table.add_row([name, *('-' if x is None else f'{x:.2f}' for x in rates.values())])
    return table.get_string()
