"""Affinity matrices over all pairs of cells: radius masks, pair labels, propagation of maps."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .affinity_labels import IGNORE_INDEX

EXPONENT = 2.0
EPS = 0.1  # added to column sums, so that cells without similar neighbours fade


@lru_cache(maxsize=16)
def _mask(height: int, width: int, radius: int, device: torch.device) -> Tensor:
    """Return :func:`radius_mask`, cached because training reuses few grids."""
    # tensors created in inference mode cannot be used in training later
    with torch.inference_mode(False):
        rows, columns = (torch.arange(n, device=device) for n in (height, width))
        near_rows, near_columns = ((x[:, None] - x).abs() <= radius for x in (rows, columns))
        near = near_rows[:, None, :, None] & near_columns[None, :, None, :]
        return near.reshape(height * width, height * width)


def radius_mask(size: tuple[int, int], radius: int, device: torch.device | str = 'cpu') -> Tensor:
    """Return which pairs of cells lie in a square around each other: ``|dy|, |dx| <= radius``.

    The masks of the last 16 grids are cached, so do not modify the result in place.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published code.

    Args:
        size: Height and width of the grid in cells.
        radius: Radius of the square in cells.

    Shapes:
        returns: ``(h * w, h * w)`` bool, cells in row-major order.

    Raises:
        ValueError: ``radius`` is negative.

    Example:
        >>> radius_mask((1, 3), 1).int()
        tensor([[1, 1, 0],
                [1, 1, 1],
                [0, 1, 1]], dtype=torch.int32)
    """
    if radius < 0:
        raise ValueError(f'radius_mask: radius must not be negative, got {radius}.')
    return _mask(*size, radius, torch.device(device))


@torch.no_grad()
def pair_label_matrix(
    label_map: Tensor,
    size: tuple[int, int],
    radius: int | None = None,
    *,
    with_self: bool = True,
) -> Tensor:
    """Return whether the two cells of each pair have the same label.

    The background counts as a class.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published code.

    Args:
        label_map: Pseudo masks; 255 is ignored.
        size: Height and width of the grid of cells; the masks are resized to it by the nearest
            pixel.
        radius: Radius of the square in which cells form pairs; None allows all pairs.
        with_self: Whether each cell forms a pair with itself; otherwise that pair is ignored.

    Shapes:
        label_map: ``(N, H, W)`` integers up to 255.
        returns: ``(N, h * w, h * w)`` uint8: 1 for equal, 0 for different, 255 for ignored.

    Example:
        >>> pair_label_matrix(torch.tensor([[[7, 0, 255]]]), (1, 3))
        tensor([[[  1,   0, 255],
                 [  0,   1, 255],
                 [255, 255, 255]]], dtype=torch.uint8)
    """
    cells = F.interpolate(label_map[:, None].to(torch.uint8), size).flatten(1)
    labels = (cells[:, :, None] == cells[:, None, :]).to(torch.uint8)
    known = cells != IGNORE_INDEX
    known = known[:, :, None] & known[:, None, :]
    if radius is not None:
        known &= radius_mask(size, radius, label_map.device)
    if not with_self:
        known.diagonal(dim1=1, dim2=2).fill_(False)
    return labels.masked_fill_(~known, IGNORE_INDEX)


@torch.no_grad()
def propagate_maps(
    maps: Tensor, affinity: Tensor, radius: int, *, exponent: float = EXPONENT, eps: float = EPS
) -> Tensor:
    """Propagate maps once along the affinities of nearby cells.

    ``out_j = sum_i maps_i A_ij^exponent / (sum_i A_ij^exponent + eps)``, with both sums over the
    cells i in the square around j. No gradient flows.

    Source: Ru et al., CVPR 2022, Eqs. 6 and 7, https://arxiv.org/abs/2203.02664, and its
    published code.

    Args:
        radius: Radius of the square in cells.
        exponent: Exponent of the affinities, alpha in the paper; larger values suppress weak
            links.
        eps: Added to the sum of each column.

    Shapes:
        maps: ``(N, C, h, w)`` float.
        affinity: ``(N, h * w, h * w)`` float in [0, 1], cells in row-major order.
        returns: ``(N, C, h, w)`` float32, or float64 if an input is.

    Raises:
        ValueError: the affinities do not match the grid of the maps.

    Example:
        >>> maps = torch.tensor([1., 0., 0.]).view(1, 1, 1, 3)
        >>> propagate_maps(maps, torch.ones(1, 3, 3), radius=1).flatten().round(decimals=2)
        tensor([0.4800, 0.3200, 0.0000])
    """
    cells = maps.shape[-2:].numel()
    if maps.ndim != 4 or affinity.shape != (len(maps), cells, cells):
        raise ValueError(
            'propagate_maps: maps must be (N, C, h, w) and affinity (N, h * w, h * w) of the same '
            f'N, h and w, got {tuple(maps.shape)} and {tuple(affinity.shape)}.'
        )
    dtype = torch.promote_types(torch.promote_types(maps.dtype, affinity.dtype), torch.float32)
    near = radius_mask((maps.shape[2], maps.shape[3]), radius, maps.device)
    links = torch.where(near, affinity.to(dtype), 0).pow_(exponent)
    with torch.autocast(maps.device.type, enabled=False):
        spread = maps.to(dtype).flatten(2) @ links
    return (spread / (links.sum(dim=1, keepdim=True) + eps)).view_as(maps)
