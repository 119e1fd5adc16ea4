"""Pixel-adaptive refinement: averages maps over neighbours of similar colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SOFTNESS = 0.3  # of both kernels, in standard deviations
POSITION_WEIGHT = 0.01
PAMR_SOFTNESS = 0.1
EPS = 1e-8
Sizes = Sequence[Sequence[int]]
AROUND = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def _nearest_inside(maps: Tensor, reach: int, sizes: Sizes) -> Tensor:
    """Return the index of the nearest image pixel of each cell of padded planes, ``(N, P)``."""
    plane = tuple(maps.shape[2:])
    inside = all(1 <= h <= plane[0] and 1 <= w <= plane[1] for h, w in sizes)
    if len(sizes) != len(maps) or not inside:
        raise ValueError(
            f'pixel_adaptive_refine: {len(maps)} sizes from (1, 1) to {plane} are needed, got '
            f'{[tuple(size) for size in sizes]}.'
        )
    rows, columns = (
        torch.arange(-reach, full + reach).clamp(min=0).minimum(torch.tensor(size)[:, None] - 1)
        for full, size in zip(plane, zip(*sizes, strict=True), strict=True)
    )
    places = (rows[:, :, None] * plane[1] + columns[:, None]).flatten(1)
    return places.to(maps.device, non_blocking=True)


def _neighbors(
    maps: Tensor, dilations: Sequence[int], places: Tensor | None = None
) -> Iterator[Tensor]:
    """Yield the maps shifted to each neighbour, as views of one padded copy."""
    num, channels, height, width = maps.shape
    reach = max(dilations)
    if places is None:
        padded = F.pad(maps, (reach,) * 4, mode='replicate')
    else:
        padded = maps.flatten(2).gather(2, places[:, None].expand(-1, channels, -1))
        padded = padded.view(num, channels, height + 2 * reach, width + 2 * reach)
    for dilation in dilations:
        for dy, dx in AROUND:
            top, left = reach + dy * dilation, reach + dx * dilation
            yield padded[:, :, top : top + height, left : left + width]


def _position_weights(dilations: Sequence[int], softness: float, weight: float) -> list[float]:
    """Return the weight of each neighbour from the position kernel."""
    distances = torch.tensor(
        [d * (dy * dy + dx * dx) ** 0.5 for d in dilations for dy, dx in AROUND],
        dtype=torch.float64,
    )
    scaled = distances / (distances.std() + EPS) / softness
    return torch.softmax(-scaled.square(), dim=0).mul_(weight).tolist()


def _check_weights(name: str, images: Tensor, dilations: Sequence[int]) -> None:
    if images.ndim != 4:
        raise ValueError(f'{name}: images must be (N, 3, H, W), got {tuple(images.shape)}.')
    if not dilations or min(dilations) < 1:
        raise ValueError(f'{name}: dilations must be positive, got {tuple(dilations)}.')


def _deviation(views: Sequence[Tensor], like: Tensor) -> Tensor:
    """Return the unbiased standard deviation over views of the same shape."""
    mean = torch.zeros_like(like)
    for view in views:
        mean.add_(view, alpha=1 / len(views))
    std = torch.zeros_like(like)
    for view in views:
        difference = view - mean
        std.addcmul_(difference, difference)
    return std.div_(len(views) - 1).sqrt_()


def _softmax_in_place(weights: Tensor) -> Tensor:
    # in place because the weights dominate the memory
    weights.sub_(weights.amax(dim=1, keepdim=True)).exp_()
    return weights.div_(weights.sum(dim=1, keepdim=True))


@torch.no_grad()
def pixel_adaptive_weights(
    images: Tensor,
    dilations: Sequence[int],
    *,
    w1: float | None = SOFTNESS,
    w2: float = SOFTNESS,
    w3: float = POSITION_WEIGHT,
) -> Tensor:
    """Return the weight of every neighbour of every pixel.

    The colour kernel is ``softmax(-mean_c (|difference| / (std + 1e-8) / w1)^2)`` with the
    standard deviation of each channel over the neighbours. The position kernel is a softmax of
    the same form on distances with ``w2``, multiplied by ``w3``. The weights of a pixel sum to
    1 + w3. No gradient flows.

    Source: Ru et al., CVPR 2022, Eqs. 8 and 9, https://arxiv.org/abs/2203.02664

    Args:
        dilations: Distances of the 8 neighbours in pixels; the border is replicated.
        w1: Softness of the colour kernel, in standard deviations; None disables the kernel.
        w2: Softness of the position kernel, in standard deviations.
        w3: Weight of the position kernel; 0 disables it.

    Shapes:
        images: ``(N, 3, H, W)``, any dtype and scale.
        returns: ``(N, 8 * len(dilations), H, W)`` float32.

    Raises:
        ValueError: ``images`` does not have four dimensions, or a dilation is not positive.

    Example:
        >>> image = torch.tensor([0., 0., 1., 1.]).expand(1, 3, 1, 4)
        >>> pixel_adaptive_weights(image, [1])[0, 3:5, 0].round(decimals=2)
        tensor([[0.1300, 0.2000, 0.0000, 0.1300],
                [0.1300, 0.0000, 0.2000, 0.1300]])
    """
    _check_weights('pixel_adaptive_weights', images, dilations)
    images = images.float()
    views = list(_neighbors(images, dilations))
    weights = images.new_zeros(len(images), len(views), *images.shape[2:])
    if w1 is not None:
        factor = _deviation(views, images).add_(EPS).mul_(w1).square_()
        factor.mul_(-images.shape[1]).reciprocal_()
        for k, view in enumerate(views):
            torch.sum((view - images).square_().mul_(factor), dim=1, out=weights[:, k])
        _softmax_in_place(weights)
    if w3:
        for k, share in enumerate(_position_weights(dilations, w2, w3)):
            weights[:, k].add_(share)
    return weights


@torch.no_grad()
def pixel_adaptive_mask_weights(
    images: Tensor, dilations: Sequence[int], *, softness: float = PAMR_SOFTNESS
) -> Tensor:
    """Return the weights of pixel-adaptive mask refinement (PAMR) for every neighbour.

    The kernel is ``softmax(-mean_c |difference| / (1e-8 + softness * std))`` with the standard
    deviation of each channel over the neighbours and, once per dilation, the pixel itself. The
    weights of a pixel sum to 1. No gradient flows.

    Source: Araslanov and Roth, CVPR 2020, https://arxiv.org/abs/2005.08104, with the
    softness of its published code

    Args:
        dilations: Distances of the 8 neighbours in pixels; the border is replicated.
        softness: Softness of the kernel, in standard deviations.

    Shapes:
        images: ``(N, 3, H, W)``, any dtype and scale.
        returns: ``(N, 8 * len(dilations), H, W)`` float32.

    Raises:
        ValueError: ``images`` does not have four dimensions, or a dilation is not positive.

    Example:
        >>> image = torch.tensor([0., 0., 1., 1.]).expand(1, 3, 1, 4)
        >>> pixel_adaptive_mask_weights(image, [1])[0, 3:5, 0].round(decimals=2)
        tensor([[0.1200, 0.2000, 0.0000, 0.1200],
                [0.1200, 0.0000, 0.2000, 0.1200]])
    """
    _check_weights('pixel_adaptive_mask_weights', images, dilations)
    images = images.float()
    views = list(_neighbors(images, dilations))
    deviation = _deviation([*views, *(images for _ in dilations)], images)
    factor = deviation.mul_(softness).add_(EPS).mul_(-images.shape[1]).reciprocal_()
    weights = images.new_empty(len(images), len(views), *images.shape[2:])
    for k, view in enumerate(views):
        torch.sum((view - images).abs_().mul_(factor), dim=1, out=weights[:, k])
    return _softmax_in_place(weights)


@torch.no_grad()
def pixel_adaptive_refine(
    maps: Tensor,
    weights: Tensor,
    dilations: Sequence[int],
    *,
    num_iters: int,
    sizes: Sizes | None = None,
) -> Tensor:
    """Replace every map repeatedly by the weighted sum over the neighbours of each pixel.

    Source: Ru et al., CVPR 2022, Eq. 10, https://arxiv.org/abs/2203.02664

    Args:
        dilations: The same as for the weights.
        sizes: Height and width of each image, which lies at the top left of the plane, integers
            on the CPU; the whole plane by default. Maps outside are not read. The weights are
            correct if the border of the images was repeated outside, as :func:`resize_boxes`
            does.

    Shapes:
        maps: ``(N, C, H, W)`` float.
        weights: ``(N, 8 * len(dilations), H, W)`` of :func:`pixel_adaptive_weights` or
            :func:`pixel_adaptive_mask_weights`.
        returns: ``(N, C, H, W)`` float32; no gradient flows.

    Raises:
        ValueError: the shapes or ``sizes`` do not match, or ``num_iters`` is not positive.

    Example:
        >>> image = torch.tensor([0., 0., 1., 1.]).expand(1, 3, 1, 4)
        >>> weights = pixel_adaptive_weights(image, [1])
        >>> cam = torch.tensor([0., 1., 0., 0.]).view(1, 1, 1, 4)
        >>> pixel_adaptive_refine(cam, weights, [1], num_iters=2).round(decimals=2)
        tensor([[[[0.3900, 0.3900, 0.0000, 0.0000]]]])
    """
    if weights.shape != (len(maps), 8 * len(dilations), *maps.shape[2:]) or maps.ndim != 4:
        raise ValueError(
            'pixel_adaptive_refine: maps must be (N, C, H, W) and weights '
            f'(N, {8 * len(dilations)}, H, W) of the same N, H and W for {len(dilations)} '
            f'dilations, got {tuple(maps.shape)} and {tuple(weights.shape)}.'
        )
    if num_iters < 1:
        raise ValueError(f'pixel_adaptive_refine: num_iters must be at least 1, got {num_iters}.')
    maps = maps.float()
    places = None if sizes is None else _nearest_inside(maps, max(dilations), sizes)
    for _ in range(num_iters):
        out = torch.zeros_like(maps)
        for k, view in enumerate(_neighbors(maps, dilations, places)):
            out.addcmul_(view, weights[:, k, None])
        maps = out
    return maps
