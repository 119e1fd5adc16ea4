"""Local crops of a batch: where they may lie, which are drawn, and what they show."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

FOREGROUND_SHARE = 0.2


class LocalCrops(NamedTuple):
    """Local crops of a batch.

    Shapes:
        positions: ``(N, M, 2)`` int64, upper left corners (y, x) in pixels.
        ratios: ``(N, M)`` float32 in [0, 2], mean of the region map inside each crop.
        counts: ``(N,)`` int64, number of corners from which those of an image were drawn.
    """

    positions: Tensor
    ratios: Tensor
    counts: Tensor


def _random_words(number: int, generator: torch.Generator | None) -> Tensor:
    """Return the next 32-bit words of a CPU generator, ``(number,)`` int64."""
    halves = torch.empty(-(-number // 2), dtype=torch.int64)
    # all 64 bits: two words of the generator each, the high one first
    halves.random_(-(2**63), None, generator=generator)
    return torch.stack([halves >> 32 & 0xFFFFFFFF, halves & 0xFFFFFFFF], dim=1).flatten()[:number]


def _permutation_starts(
    counts: Tensor, number: int, limit: int, generator: torch.Generator | None
) -> Tensor:
    """Return the first entries of ``torch.randperm(n)``, one image after the other.

    The words that ``randperm`` would take are drawn for the most that n can be, so that n need
    not be known on the CPU: entry i is swapped with entry i + word % (n - i).

    Shapes:
        counts: ``(N,)`` int64, n of each image, ``number <= n <= limit``.
        returns: ``(N, number)`` int64.
    """
    device, batch = counts.device, len(counts)
    words = _random_words(batch * limit, generator).to(device, non_blocking=True)
    used = counts - 1  # words of an image: the last entry is not swapped
    first = used.cumsum(0) - used
    order = torch.arange(limit, device=device).repeat(batch, 1)
    # of a permutation of a single entry none is swapped, and there may be no word left
    steps = torch.arange(number, device=device)
    drawn = words[(first[:, None] + steps).clamp(max=len(words) - 1)]
    places = steps + drawn % (counts[:, None] - steps)
    for i in range(number):
        place, own = places[:, i : i + 1], order[:, i : i + 1].clone()
        order[:, i : i + 1] = order.gather(1, place)
        order.scatter_(1, place, own)
    return order[:, :number]


def _windows(maps: Tensor, positions: Tensor, size: int) -> Tensor:
    """Cut windows, ``(N, M, C, size, size)``."""
    windows = maps.unfold(2, size, 1).unfold(3, size, 1)
    images = torch.arange(len(maps), device=maps.device)[:, None]
    return windows[images, :, positions[..., 0], positions[..., 1]]


@torch.no_grad()
def choose_local_crops(
    regions: Tensor, size: int, number: int, *, generator: torch.Generator | None = None
) -> LocalCrops:
    """Draw square crops whose centre is not surely foreground.

    Corners are the pixels (y, x) with ``0 <= y < H - size`` and ``0 <= x < W - size`` whose centre
    (y + size // 2, x + size // 2) has region 0 or 1, in row-major order; where an image has fewer
    than ``number``, all corners. Those drawn are the first of ``torch.randperm(n)``, called image
    by image, but all images are drawn at once and nothing is read back from their device.

    Source: Ru et al., CVPR 2023, https://arxiv.org/abs/2303.01267, and its published
    code.

    Args:
        size: Side of a crop in pixels.
        number: Crops of each image, M.
        generator: Of the CPU; PyTorch's default one without it.

    Shapes:
        regions: ``(N, H, W)`` integers of :func:`~mmwsss.ops.region_map`.

    Raises:
        ValueError: the images have fewer corners than crops are wanted.

    Example:
        >>> regions = torch.zeros(1, 5, 5, dtype=torch.uint8)
        >>> regions[:, :, 2:] = 2
        >>> crops = choose_local_crops(regions, 2, 3)
        >>> crops.counts.tolist(), crops.positions[..., 1].tolist()
        ([3], [[0, 0, 0]])
    """
    height, width = regions.shape[1:]
    rows, columns = height - size, width - size
    if size < 1 or number < 1 or min(rows, columns) < 1 or rows * columns < number:
        raise ValueError(
            f'local crops: {number} crops of {size} x {size} pixels do not fit images of '
            f'{height} x {width}: choose fewer or smaller ones (num_crops, crop_size), or larger '
            'images.'
        )
    half = size // 2
    allowed = (regions[:, half : half + rows, half : half + columns] < 2).flatten(1)
    allowed |= allowed.sum(dim=1, keepdim=True) < number
    counts = allowed.sum(dim=1)
    ranks = _permutation_starts(counts, number, rows * columns, generator)
    # the corner up to which there are rank + 1 allowed ones
    place = torch.searchsorted(allowed.cumsum(dim=1), ranks + 1)
    positions = torch.stack([place // columns, place % columns], dim=2)
    ratios = _windows(regions[:, None].float(), positions, size).mean(dim=(2, 3, 4))
    return LocalCrops(positions, ratios, counts)


def cut_local_crops(images: Tensor, positions: Tensor, size: int) -> Tensor:
    """Cut square crops out of images.

    Args:
        size: Side of a crop in pixels.

    Shapes:
        images: ``(N, C, H, W)``.
        positions: ``(N, M, 2)`` int64, upper left corners (y, x).
        returns: ``(M * N, C, size, size)``, the first crop of every image first.

    Example:
        >>> images = torch.arange(12).view(1, 1, 3, 4)
        >>> cut_local_crops(images, torch.tensor([[[1, 2], [0, 0]]]), 2).flatten(1).tolist()
        [[6, 7, 10, 11], [0, 1, 4, 5]]
    """
    return _windows(images, positions, size).transpose(0, 1).flatten(0, 1)


def positive_views(ratios: Tensor, num_global: int = 2) -> Tensor:
    """Return which views of an image show what it is tagged with: whole views and some crops.

    A crop does unless the mean of its region map is 0.2 or less, where foreground counts 2.

    Source: the published code of Ru et al., CVPR 2023, https://arxiv.org/abs/2303.01267

    Args:
        num_global: Whole views, which stand first.

    Shapes:
        ratios: ``(N, M)`` float of :func:`choose_local_crops`.
        returns: ``(N, num_global + M)`` bool.

    Example:
        >>> positive_views(torch.tensor([[0.2, 0.3]])).tolist()
        [[True, True, False, True]]
    """
    whole = ratios.new_ones(len(ratios), num_global, dtype=torch.bool)
    return torch.cat([whole, ratios > FOREGROUND_SHARE], dim=1)
