"""Quality of class activation maps at every background score, from one pass over the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .erosion import erode_best

EPS = 1e-10
# The published 0.01 ... 0.59, those up to 1 for smooth maps, and the same digits in the two decades
# below for steep ones. Files in half precision resolve all of them: they lose what is below 6e-5.
DEFAULT_THRESHOLDS = (
    *(i / 10_000 for i in range(1, 10)),
    *(i / 1_000 for i in range(1, 10)),
    *(i / 100 for i in range(1, 100)),
)


def check_thresholds(thresholds: Sequence[float]) -> Tensor:
    """Return thresholds as float32, the type of the scores.

    Args:
        thresholds: Increasing and at least 0, because absent classes would win below 0.

    Shapes:
        returns: ``(T,)`` float32.

    Raises:
        ValueError: ``thresholds`` is empty, does not increase or has a negative value.
    """
    values = torch.tensor([float(t) for t in thresholds], dtype=torch.float32)
    if not len(values) or not bool((values >= 0).all()) or not bool((values.diff() > 0).all()):
        raise ValueError(
            f'thresholds must be increasing numbers of at least 0, got {list(thresholds)}.'
        )
    return values


def cam_histogram(
    scores: Tensor,
    target: Tensor,
    thresholds: Tensor,
    *,
    ignore: int,
    keys: Tensor | None = None,
    num_classes: int | None = None,
    erosion: int = 0,
) -> Tensor:
    """Count pixels by true class, best class and how many thresholds the best score exceeds.

    At threshold t, a pixel gets its best class if that score exceeds t, else the background; of
    equal scores, the first class is the best. The counts thus determine the confusion matrix at
    every threshold.

    Args:
        scores: Normalised maps of all foreground classes, -inf for impossible classes; or of the
            classes in ``keys``.
        target: Ground truth.
        thresholds: From :func:`check_thresholds`.
        ignore: Value of the target to ignore.
        keys: Foreground indices of the maps, increasing; other classes are impossible.
        num_classes: Number of classes including background; required with ``keys``.
        erosion: Side of the square by which class masks are eroded, see
            :func:`~mmwsss.evaluation.erosion.erode_best`.

    Shapes:
        scores: ``(K, H, W)`` float, with ``keys`` ``(n, H, W)``.
        target: ``(H, W)`` integers in 0 ... K, or ``ignore``.
        thresholds: ``(T,)`` float32.
        keys: ``(n,)`` int64.
        returns: ``(K + 1, K, T + 1)`` int64; the sum is the number of pixels not ignored.

    Raises:
        ValueError: the sizes differ, a value of the target is no class, or a score is NaN.

    Example:
        >>> scores = torch.tensor([[[.1, .2]], [[.4, .2]]])  # two classes, two pixels
        >>> target = torch.tensor([[2, 0]])
        >>> counts = cam_histogram(scores, target, torch.tensor([.2, .3]), ignore=255)
        >>> counts.nonzero().tolist()  # the second ties: class 1, not above .2
        [[0, 0, 0], [2, 1, 2]]
    """
    if scores.shape[1:] != target.shape:
        raise ValueError(
            f'class activation maps of {tuple(scores.shape[1:])} pixels do not fit a mask of '
            f'{tuple(target.shape)}'
        )
    if keys is None or num_classes is None:
        keys, num_classes = torch.arange(len(scores), device=scores.device), len(scores) + 1
    if not len(keys):
        # no class can be, so the first is as good as any
        keys, scores = keys.new_zeros(1), scores.new_full((1, *target.shape), -torch.inf)
    num_bins = len(thresholds) + 1
    best, index = scores.float().max(dim=0)
    if bool(best.isnan().any()):
        raise ValueError('the class activation maps hold NaN')
    best = erode_best(best, index, erosion)
    kept = target != ignore
    target, best, index = target[kept].long(), best[kept], index[kept]
    wrong = (target < 0) | (target >= num_classes)
    if bool(wrong.any()):
        raise ValueError(
            f'the mask has the value {int(target[wrong][0])}, but the classes are 0 to '
            f'{num_classes - 1} and {ignore} is ignored'
        )
    # right=False: the number of thresholds strictly below the score, exact at the edges
    bins = torch.bucketize(best, thresholds.to(best.device), right=False)
    flat = (target * (num_classes - 1) + keys[index]) * num_bins + bins
    counts = torch.bincount(flat, minlength=num_classes * (num_classes - 1) * num_bins)
    return counts.view(num_classes, num_classes - 1, num_bins)


@dataclass(frozen=True)
class CAMCurve:
    """Counts and metrics at T thresholds; background is class 0.

    Source: Wang et al., CVPR 2020, Eqs. 13 and 14, https://arxiv.org/abs/2004.04581, for ``m_fp``
    and ``m_fn``; Chen et al., 2022, Tables 12 and 13, https://arxiv.org/abs/2210.14618, for
    ``fp`` and ``fn``

    Args:
        thresholds: Background scores, ``(T,)``.
        tp: Correctly predicted pixels per class, ``(T, K + 1)`` int64, like the next two.
        pred: Predicted pixels per class.
        gt: Pixels per class in the ground truth.
    """

    thresholds: np.ndarray
    tp: np.ndarray
    pred: np.ndarray
    gt: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union, ``(T, K + 1)``; 0 for a class that never occurs."""
        return self.tp / self._union

    @property
    def miou(self) -> np.ndarray:
        """Mean over all classes, ``(T,)``, as published: absent classes count as 0."""
        return self.iou.mean(axis=1)

    @property
    def num_found(self) -> np.ndarray:
        """Number of foreground classes with a TP, ``(T,)``; m_FP and m_FN average these."""
        return (self.tp[:, 1:] > 0).sum(axis=1)

    @property
    def m_fp(self) -> np.ndarray:
        """Over-activation, ``(T,)``: mean of FP / TP; NaN if no class has a TP."""
        return self._mean_over_tp(self.pred)

    @property
    def m_fn(self) -> np.ndarray:
        """Under-activation, ``(T,)``: mean of FN / TP; NaN if no class has a TP."""
        return self._mean_over_tp(self.gt)

    @property
    def fp(self) -> np.ndarray:
        """False positives, ``(T,)``: fraction of the union, averaged over all classes."""
        return ((self.pred - self.tp) / self._union).mean(axis=1)

    @property
    def fn(self) -> np.ndarray:
        """False negatives, ``(T,)``: fraction of the union, averaged over all classes."""
        return ((self.gt - self.tp) / self._union).mean(axis=1)

    @property
    def best(self) -> int:
        """Index of the threshold with the highest mIoU; the first of equal ones."""
        return int(self.miou.argmax())

    @property
    def _union(self) -> np.ndarray:
        return self.gt + self.pred - self.tp + EPS

    def _mean_over_tp(self, total: np.ndarray) -> np.ndarray:
        tp, total = self.tp[:, 1:], total[:, 1:]
        ratio = np.where(tp > 0, (total - tp) / np.maximum(tp, 1), 0).sum(axis=1)
        return np.where(self.num_found > 0, ratio / np.maximum(self.num_found, 1), np.nan)


def cam_curve(counts: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> CAMCurve:
    """Compute the counts at every threshold from the histogram of all images.

    Args:
        counts: Sum of the results of :func:`cam_histogram`.
        thresholds: Thresholds passed to it.

    Shapes:
        counts: ``(K + 1, K, T + 1)`` int64.

    Example:
        >>> counts = np.zeros((2, 1, 3), dtype=np.int64)  # one class, two thresholds
        >>> counts[1, 0] = 1, 2, 3  # three pixels of the class exceed both
        >>> cam_curve(counts, [.2, .3]).tp.tolist()
        [[0, 5], [0, 3]]
    """
    # pixels of each (true, best) pair whose score exceeds threshold j: bins above j
    above = counts[..., :0:-1].cumsum(axis=-1)[..., ::-1]  # (K + 1, K, T)
    above = np.moveaxis(above, -1, 0)  # (T, K + 1, K)
    gt = counts.sum(axis=(1, 2))
    pred = above.sum(axis=1)
    tp = np.diagonal(above[:, 1:], axis1=1, axis2=2)
    background = (gt.sum() - pred.sum(axis=1), gt[0] - above[:, 0].sum(axis=1))
    return CAMCurve(
        thresholds=np.asarray(thresholds, dtype=np.float64),
        tp=np.concatenate([background[1][:, None], tp], axis=1),
        pred=np.concatenate([background[0][:, None], pred], axis=1),
        gt=np.broadcast_to(gt, (len(above), len(gt))),
    )
