"""Pseudo masks from the class probabilities of patches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmwsss.ops.affinity_labels import IGNORE_INDEX


def _check(scores: Tensor, classes: Tensor, channels: int) -> None:
    fits = classes.ndim == 2 and len(classes) == len(scores) and scores.shape[1] >= channels
    if not fits:
        raise ValueError(
            'scores of patches: classes must be the (N, S) of pad_tags with the same N as the '
            f'scores, background first, got {tuple(classes.shape)} for scores '
            f'{tuple(scores.shape)}.'
        )


def _shares(scores: Tensor) -> Tensor:
    """Divide by the sum over the classes; all-zero pixels stay 0."""
    return scores / scores.sum(dim=1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)


@torch.no_grad()
def tagged_patch_scores(
    scores: Tensor,
    classes: Tensor,
    valid: Tensor | None = None,
    *,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Return the share of the background and of each tagged class in every patch.

    Each map is divided by its maximum over the image, then by the sum over background and tagged
    classes.

    Source: Wu et al. (APC), 2024, https://arxiv.org/abs/2407.10649

    Args:
        size: Height and width in pixels to which the result is resized by the nearest patch.

    Shapes:
        scores: ``(N, K + 1, h, w)`` float, not negative, background first.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        valid: ``(N, 1, h, w)``, 1 for patches of the image, 0 for padding, which is ignored and
            gets 0; 1 by default.
        returns: ``(N, 1 + S, h, w)`` float, or at ``size``; background first, 0 for empty slots.

    Raises:
        ValueError: ``classes`` does not match the scores.

    Example:
        >>> scores = torch.tensor([[.6, .3], [.2, .1], [.2, .6]]).view(1, 3, 1, 2)
        >>> tagged_patch_scores(scores, torch.tensor([[1]])).squeeze().round(decimals=2)
        tensor([[0.7500, 0.3300],
                [0.2500, 0.6700]])
    """
    _check(scores, classes, 1)
    images = torch.arange(len(scores), device=scores.device)
    maps = scores[images[:, None], F.pad(classes + 1, (1, 0))]  # (N, 1 + S, h, w)
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    kept = F.pad(classes >= 0, (1, 0), value=True)[..., None, None]
    if valid is not None:
        kept = kept & valid.bool()
    maps = torch.where(kept, maps, 0)
    peaks = maps.amax(dim=(2, 3), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
    maps = _shares(maps / peaks)
    return maps if size is None else F.interpolate(maps, size)


def _check_thresholds(thresholds: tuple[float, float]) -> None:
    low, high = thresholds
    if not 0 <= low <= high <= 1:
        raise ValueError(
            'confident_labels: thresholds must satisfy 0 <= low <= high <= 1, got '
            f'{low} and {high}.'
        )


@torch.no_grad()
def confident_labels(
    scores: Tensor,
    classes: Tensor,
    thresholds: tuple[float, float] | None,
    valid: Tensor | None = None,
) -> Tensor:
    """Label the pixels with confident scores; the others are ignored.

    Scores are first divided by their sum, because refinement may change it. A pixel gets a class
    whose share exceeds the high threshold, and the background if all classes together have less
    than the low threshold. With equal thresholds, a pixel where no class exceeds the threshold is
    still ignored if several classes share it. Without thresholds the largest score wins and no
    pixel is ignored.

    Source: Wu et al. (APC), 2024, https://arxiv.org/abs/2407.10649, which assigns the category of
    a patch to its pixels (``thresholds=None`` without refinement) and mentions no thresholds.

    Args:
        thresholds: Low and high threshold, or None.

    Shapes:
        scores: ``(N, 1 + S, H, W)`` float of :func:`tagged_patch_scores`, possibly refined.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        valid: ``(N, 1, H, W)``, 1 for image, 0 for padding, which is ignored; 1 by default.
        returns: ``(N, H, W)`` uint8: 0, index of the class + 1, or 255.

    Raises:
        ValueError: ``classes`` does not match the scores, or not ``0 <= low <= high <= 1``.

    Example:
        >>> dog = torch.tensor([.2, .5, .8])
        >>> scores = torch.stack([1 - dog, dog]).view(1, 2, 1, 3)
        >>> confident_labels(scores, torch.tensor([[11]]), (.4, .6)).tolist()
        [[[0, 255, 12]]]
        >>> confident_labels(scores, torch.tensor([[11]]), None).tolist()
        [[[0, 0, 12]]]
    """
    _check(scores, classes, 1 + classes.shape[-1])
    shares = _shares(scores.to(torch.promote_types(scores.dtype, torch.float32)))
    if thresholds is None:
        place = shares.argmax(dim=1)
        labels = F.pad(classes + 1, (1, 0)).gather(1, place.flatten(1)).view_as(place)
    else:
        _check_thresholds(thresholds)
        low, high = thresholds
        best, place = shares[:, 1:].max(dim=1)  # (N, H, W)
        found = (classes + 1).gather(1, place.flatten(1)).view_as(place)
        labels = torch.where(best > high, found, IGNORE_INDEX)
        labels = torch.where(shares[:, 0] > 1 - low, 0, labels)
    labels = labels.to(torch.uint8)
    return labels if valid is None else labels.masked_fill(~valid[:, 0].bool(), IGNORE_INDEX)
