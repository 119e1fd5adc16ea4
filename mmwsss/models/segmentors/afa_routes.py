"""The two ways in which AFA turns class activation maps into refined scores per pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from mmwsss.ops import propagate_maps, resize_boxes, tagged_scores, valid_mask
from mmwsss.ops.affinity_matrix import EPS, EXPONENT
from mmwsss.ops.valid_boxes import Boxes

from .online_labels import SHRINK

BG_SCORES = (0.35, 0.55)
# called with images (N, 3, h, w), scores (N, B, 1 + S, h, w) and sizes of padded images or None
Refine: TypeAlias = Callable[[Tensor, Tensor, Sequence[Sequence[int]] | None], Tensor]


@torch.no_grad()
def cam_route_scores(
    images: Tensor,
    cams: Tensor,
    classes: Tensor,
    refine: Refine | None = None,
    *,
    bg_scores: Sequence[float] = BG_SCORES,
) -> Tensor:
    """Turn class activation maps into scores and refine these with the colours of the image.

    Images and maps are resized to half their size, followed by a softmax over background and
    tagged classes, the refinement and resizing to full size. Padding is treated as image, as in
    the published code.

    Source: Ru et al., CVPR 2022, Sec. 3.4, https://arxiv.org/abs/2203.02664, and its published
    code.

    Args:
        refine: Called with images and scores of half size and None, like
            :func:`mmwsss.models.refiners.refine_scores`; None disables the refinement.
        bg_scores: Constant background scores, lowest first.

    Shapes:
        images: ``(N, 3, H, W)`` float RGB in [0, 1].
        cams: ``(N, K, H, W)`` float in [0, 1].
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        returns: ``(N, len(bg_scores), 1 + S, H, W)`` float32, for :func:`.tagged_labels`.

    Raises:
        ValueError: ``classes`` does not match the maps.

    Example:
        >>> images, cams = torch.rand(1, 3, 8, 8), torch.rand(1, 20, 8, 8)
        >>> cam_route_scores(images, cams, torch.tensor([[3, 14]])).shape
        torch.Size([1, 2, 3, 8, 8])
    """
    height, width = images.shape[2:]
    half = max(1, height // SHRINK), max(1, width // SHRINK)
    images = F.interpolate(images.float(), half, mode='bilinear', align_corners=False)
    scores = tagged_scores(cams, classes, bg_scores, half)
    if refine is not None:
        scores = refine(images, scores, None)
    maps = F.interpolate(
        scores.flatten(1, 2), (height, width), mode='bilinear', align_corners=False
    )
    return maps.unflatten(1, scores.shape[1:3])


@torch.no_grad()
def affinity_route_scores(
    images: Tensor,
    cams: Tensor,
    affinity: Tensor,
    classes: Tensor,
    boxes: Boxes | None = None,
    *,
    grid: tuple[int, int],
    refine: Refine | None = None,
    radius: int = 8,
    bg_scores: Sequence[float] = BG_SCORES,
    exponent: float = EXPONENT,
    eps: float = EPS,
) -> Tensor:
    """Propagate class activation maps along affinities, then refine them in the valid boxes.

    Maps are resized to the grid of the affinity, followed by a softmax over background and tagged
    classes, one propagation, resizing to full size and the refinement of each box at half its
    size.

    Source: Ru et al., CVPR 2022, Secs. 3.3 and 3.4, https://arxiv.org/abs/2203.02664, and its
    published code.

    Args:
        boxes: Valid boxes (top, left, bottom, right), integers on the CPU; the whole images by
            default.
        grid: Height and width of the grid of the affinity in cells.
        refine: Called with images and scores of half size, each at the top left of its plane, and
            their sizes, like :func:`mmwsss.models.refiners.refine_scores`; None disables the
            refinement.
        radius: Radius of the square in which maps spread, in cells.
        bg_scores: Constant background scores, lowest first.
        exponent: Exponent of the affinities, see :func:`~mmwsss.ops.propagate_maps`.
        eps: Added to the sum of the affinities.

    Shapes:
        images: ``(N, 3, H, W)`` float RGB in [0, 1].
        cams: ``(N, K, H, W)`` float in [0, 1].
        affinity: ``(N, h * w, h * w)`` float in [0, 1] for ``grid = (h, w)``.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        returns: ``(N, len(bg_scores), 1 + S, H, W)`` float32, for :func:`.tagged_labels`; 0
            outside the boxes.

    Raises:
        ValueError: ``classes``, ``affinity`` or ``boxes`` do not match the images.

    Example:
        >>> images, cams, affinity = torch.rand(1, 3, 8, 8), torch.rand(1, 20, 8, 8), torch.eye(4)
        >>> scores = affinity_route_scores(
        ...     images, cams, affinity[None], torch.tensor([[3, 14]]), [(2, 0, 8, 8)], grid=(2, 2)
        ... )
        >>> scores.shape, scores[..., :2, :].sum().item()
        (torch.Size([1, 2, 3, 8, 8]), 0.0)
    """
    size = (images.shape[2], images.shape[3])
    boxes = [(0, 0, *size)] * len(images) if boxes is None else boxes
    scores = tagged_scores(cams, classes, bg_scores, grid)
    maps = propagate_maps(scores.flatten(1, 2), affinity, radius, exponent=exponent, eps=eps)
    maps = F.interpolate(maps, size, mode='bilinear', align_corners=False)

    # each box at half its size, at the top left of a plane that fits the largest one
    sizes = [(max(1, (b - t) // SHRINK), max(1, (r - x) // SHRINK)) for t, x, b, r in boxes]
    small = [(0, 0, *half) for half in sizes]
    plane = (max(half[0] for half in sizes), max(half[1] for half in sizes))
    maps = resize_boxes(maps, boxes, small, plane, align_corners=True)
    if refine is not None:
        images = resize_boxes(images.float(), boxes, small, plane)
        maps = refine(images, maps.unflatten(1, scores.shape[1:3]), sizes).flatten(1, 2)
    maps = resize_boxes(maps, small, boxes, size)
    maps *= valid_mask(torch.tensor(boxes).to(maps.device, non_blocking=True), size)
    return maps.unflatten(1, scores.shape[1:3])
