"""Padded maps of the tagged classes of each image of a batch, and labels made from them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .affinity_labels import IGNORE_INDEX, combine_seed_labels


def pad_tags(gt_labels: Sequence[Tensor]) -> Tensor:
    """Pad the tags of a batch to one tensor without synchronising with the GPU.

    Shapes:
        gt_labels: each ``(n,)`` int64, sorted foreground indices, on any device.
        returns: ``(N, S)`` int64 with S the largest n, at least 1; padded with -1.

    Example:
        >>> pad_tags([torch.tensor([3, 14]), torch.tensor([7])]).tolist()
        [[3, 14], [7, -1]]
    """
    classes = pad_sequence(list(gt_labels), batch_first=True, padding_value=-1)
    return classes if classes.shape[1] else F.pad(classes, (0, 1), value=-1)


def _pick(cams: Tensor, classes: Tensor) -> Tensor:
    """Return the maps of the tagged classes, ``(N, S, h, w)``; empty slots hold arbitrary maps."""
    if classes.ndim != 2 or len(classes) != len(cams) or not classes.shape[1]:
        raise ValueError(
            'maps of tagged classes: classes must be the (N, S) of pad_tags with the same N as '
            f'the maps, got {tuple(classes.shape)} for maps {tuple(cams.shape)}.'
        )
    images = torch.arange(len(cams), device=cams.device)
    return cams[images[:, None], classes].float()


def _to_labels(places: Tensor, classes: Tensor) -> Tensor:
    """Convert slots of background and tagged classes ``(N, ...)`` to labels, uint8."""
    labels = F.pad(classes + 1, (1, 0)).to(torch.uint8)  # (N, 1 + S)
    return labels.gather(1, places.flatten(1)).view_as(places)


def _fuse(labels: Tensor, valid: Tensor | None) -> Tensor:
    """Combine the labels ``(N, B, H, W)`` of the low and the high background score, low first."""
    fused = combine_seed_labels(labels[:, -1], labels[:, 0])
    return fused if valid is None else fused.masked_fill(~valid[:, 0].bool(), IGNORE_INDEX)


@torch.no_grad()
def tagged_scores(
    cams: Tensor,
    classes: Tensor,
    bg_scores: Sequence[float],
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Return the softmax over background and tagged classes for each background score.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published code.

    Args:
        bg_scores: Constant background scores.
        size: Height and width to which the maps are resized first, bilinearly.

    Shapes:
        cams: ``(N, K, H, W)`` float in [0, 1].
        classes: ``(N, S)`` int64 of :func:`pad_tags`.
        returns: ``(N, len(bg_scores), 1 + S, *size)`` float32, background first, 0 for empty
            slots.

    Raises:
        ValueError: ``classes`` does not match the maps.

    Example:
        >>> cams = torch.tensor([.9, .5, 7.]).view(1, 3, 1, 1)
        >>> tagged_scores(cams, torch.tensor([[0, 1, -1]]), [.5]).flatten().round(decimals=2)
        tensor([0.2900, 0.4300, 0.2900, 0.0000])
    """
    maps = _pick(cams, classes)
    if size is not None and maps.shape[2:] != size:
        maps = F.interpolate(maps, size, mode='bilinear', align_corners=False)
    maps = maps.masked_fill((classes < 0)[:, :, None, None], -torch.inf)
    # fill planes, because a tensor of the scores would have to be copied from the CPU
    stacks = torch.stack(
        [torch.cat([torch.full_like(maps[:, :1], b), maps], dim=1) for b in bg_scores], dim=1
    )
    return stacks.softmax(dim=2)


@torch.no_grad()
def tagged_labels(scores: Tensor, classes: Tensor, valid: Tensor | None = None) -> Tensor:
    """Label each pixel from its scores with a low and a high background score.

    A pixel gets a class that beats the high background score, and the background label if the
    low background score wins. Other pixels are ignored; with a single background score there are
    none.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published code.

    Shapes:
        scores: ``(N, B, 1 + S, H, W)`` float of :func:`tagged_scores`, B = 1 or 2, low background
            score first.
        classes: ``(N, S)`` int64 of :func:`pad_tags`.
        valid: ``(N, 1, H, W)``, 1 for image, 0 for padding, which is ignored; 1 by default.
        returns: ``(N, H, W)`` uint8: 0, index of the class + 1, or 255.

    Example:
        >>> cams = torch.tensor([.3, .5, .7]).view(1, 1, 1, 3)
        >>> classes = torch.tensor([[0]])
        >>> tagged_labels(tagged_scores(cams, classes, [.4, .6]), classes).tolist()
        [[[0, 255, 1]]]
    """
    # max is many times faster than argmax over planes and also returns the first of ties
    return _fuse(_to_labels(scores.max(dim=2).indices, classes), valid)


@torch.no_grad()
def threshold_labels(
    cams: Tensor, classes: Tensor, bg_scores: Sequence[float], valid: Tensor | None = None
) -> Tensor:
    """Label each pixel with its best tagged class by thresholds on the map.

    Pixels up to the low background score are background, pixels above the high one get the
    class, and pixels in between are ignored.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published
    code.

    Args:
        bg_scores: Low and high background score, or a single one.

    Shapes:
        cams: ``(N, K, H, W)`` float in [0, 1].
        classes: ``(N, S)`` int64 of :func:`pad_tags`.
        valid: ``(N, 1, H, W)``, 1 for image, 0 for padding, which is ignored; 1 by default.
        returns: ``(N, H, W)`` uint8: 0, index of the class + 1, or 255.

    Raises:
        ValueError: ``classes`` does not match the maps.

    Example:
        >>> cams = torch.tensor([[.3, .5, .7], [.9, .9, .9]]).view(1, 2, 1, 3)
        >>> threshold_labels(cams, torch.tensor([[0]]), [.4, .6]).tolist()
        [[[0, 255, 1]]]
    """
    maps = _pick(cams, classes).masked_fill((classes < 0)[:, :, None, None], -torch.inf)
    best, place = maps.max(dim=1, keepdim=True)
    above = torch.cat([best > score for score in bg_scores], dim=1)  # (N, B, H, W)
    return _fuse(_to_labels(torch.where(above, place + 1, 0), classes), valid)


@torch.no_grad()
def region_map(cams: Tensor, classes: Tensor, low: float, high: float) -> Tensor:
    """Return what the best tagged class of a pixel says: 0 background, 1 unsure, 2 foreground.

    Source: Ru et al., CVPR 2023, https://arxiv.org/abs/2303.01267, and its published
    code.

    Args:
        low: Up to this a pixel is background.
        high: From this on it is foreground.

    Shapes:
        cams: ``(N, K, H, W)`` float in [0, 1].
        classes: ``(N, S)`` int64 of :func:`pad_tags`.
        returns: ``(N, H, W)`` uint8; 0 for an image without tags.

    Raises:
        ValueError: ``classes`` does not fit the maps.

    Example:
        >>> cams = torch.tensor([.2, .5, .7]).view(1, 1, 1, 3)
        >>> region_map(cams, torch.tensor([[0]]), .25, .7).tolist()
        [[[0, 1, 2]]]
    """
    maps = _pick(cams, classes).masked_fill((classes < 0)[:, :, None, None], -torch.inf)
    best = maps.amax(dim=1)
    return (best > low).to(torch.uint8) + (best >= high)
