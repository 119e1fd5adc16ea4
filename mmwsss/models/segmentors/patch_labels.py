"""Pseudo masks made of the class probabilities of patches."""

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
    """Divide by the sum over the classes; what is zero in all stays so."""
    return scores / scores.sum(dim=1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)


@torch.no_grad()
def tagged_patch_scores(
    scores: Tensor,
    classes: Tensor,
    valid: Tensor | None = None,
    *,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Return the share of background and of each tagged class in every patch.

    Each map is divided by its maximum over the image, then what is left, the classes that the
    image is not tagged with left out, is divided by its sum over the classes.

    Source: Wu et al. (APC), 2024, https://arxiv.org/abs/2407.10649

    Args:
        valid: Patches of the images; others count for no maximum and have no scores.
        size: Height and width in pixels, to which every patch is spread as it is.

    Shapes:
        scores: ``(N, K + 1, h, w)`` float, not negative, background first.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        valid: ``(N, 1, h, w)``, 0 or 1.
        returns: ``(N, 1 + S, h, w)`` float, or at ``size``; background first, 0 at a place
            without a class.

    Raises:
        ValueError: ``classes`` does not fit the scores.

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
            f'confident_labels: thresholds are two shares, low and high, in [0, 1], got '
            f'{low} and {high}.'
        )


@torch.no_grad()
def confident_labels(
    scores: Tensor,
    classes: Tensor,
    thresholds: tuple[float, float] | None,
    valid: Tensor | None = None,
) -> Tensor:
    """Return the label of each pixel whose scores are beyond two thresholds; others are ignored.

    Scores are divided by their sum first, which refinement does not keep. More than the high
    threshold for a class: the class; less than the low one for all classes together: background.
    Where several tagged classes share a pixel, equal thresholds ignore it, too, if no class has
    more than the threshold; without thresholds the largest score decides and no pixel is ignored.

    Source: Wu et al. (APC), 2024, https://arxiv.org/abs/2407.10649; it maps the category of a patch
    onto its pixels, which is None without a refinement, and leaves a rule with thresholds open.

    Args:
        thresholds: Low and high, or None.
        valid: Pixels of the images; others are ignored.

    Shapes:
        scores: ``(N, 1 + S, H, W)`` float, as of :func:`tagged_patch_scores`, refined or not.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        valid: ``(N, 1, H, W)``, 0 or 1.
        returns: ``(N, H, W)`` uint8: 0, index of the class + 1, or 255.

    Raises:
        ValueError: ``classes`` does not fit the scores, or not ``0 <= low <= high <= 1``.

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
