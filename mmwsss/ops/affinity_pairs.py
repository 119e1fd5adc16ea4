"""Pairs of nearby cells: their offsets, the paths between them and their affinities."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@cache
def _offsets(radius: int) -> tuple[tuple[int, int], ...]:
    """Return the offsets (dy, dx) of the half disc."""
    if radius < 2:
        raise ValueError(f'affinity pairs: radius must be at least 2, got {radius}.')
    return tuple(
        (dy, dx)
        for dy in range(radius)
        for dx in range(1 - radius, radius)
        if (dy > 0 or dx > 0) and dy * dy + dx * dx < radius * radius
    )


@cache
def _path(dy: int, dx: int) -> tuple[tuple[int, int], ...]:
    """Return the cells of a path, destination first."""
    square = dy * dy + dx * dx
    cells = [
        (y, x)
        for y in range(min(dy, 0), max(dy, 0) + 1)
        for x in range(min(dx, 0), max(dx, 0) + 1)
        if (dy * x - dx * y) ** 2 < square
    ]
    return tuple(sorted(cells, key=lambda cell: -abs(cell[0]) - abs(cell[1])))


def half_disc_offsets(radius: int) -> Tensor:
    """Return the offsets from a cell to its partners: half of an open disc.

    Pairs are symmetric, so half of the offsets suffices: ``dy = 0`` and ``dx > 0``, or
    ``dy > 0``, with ``dy^2 + dx^2 < radius^2``. They are sorted by ``dy``, then ``dx``; a stable
    sort by the length of the path (:func:`path_cells`) gives the order of IRN's published code.

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.2, https://arxiv.org/abs/1803.10464

    Args:
        radius: Radius in cells, at least 2; radius 5 gives 34 offsets.

    Shapes:
        returns: ``(n, 2)`` int64, (dy, dx) each.

    Raises:
        ValueError: ``radius`` is smaller than 2.

    Example:
        >>> half_disc_offsets(2).tolist()
        [[0, 1], [1, -1], [1, 0], [1, 1]]
    """
    return torch.tensor(_offsets(radius))


def path_cells(dy: int, dx: int) -> Tensor:
    """Return the cells on the path between a cell and its partner, both included.

    These are the cells of the bounding rectangle whose centre is less than one cell away from
    the line through both, from the destination to the source (0, 0).

    Source: Ahn et al., CVPR 2019, Sec. 3.3, https://arxiv.org/abs/1904.05044, and its
    published code.

    Shapes:
        returns: ``(m, 2)`` int64, (dy, dx) from the source, by descending ``|dy| + |dx|``.

    Example:
        >>> path_cells(1, -2).tolist()
        [[1, -2], [0, -2], [1, -1], [0, -1], [1, 0], [0, 0]]
    """
    return torch.tensor(_path(dy, dx))


def _source_size(maps: Tensor, radius: int) -> tuple[int, int]:
    """Return the numbers of rows and columns of cells with a partner at every offset."""
    reach = radius - 1
    if maps.ndim != 4 or maps.shape[2] <= reach or maps.shape[3] <= 2 * reach:
        raise ValueError(
            f'affinity pairs of radius {radius} need maps (N, C, h, w) of at least '
            f'{reach + 1} x {2 * reach + 1} cells, got {tuple(maps.shape)}; use a smaller '
            'radius or larger maps.'
        )
    return maps.shape[2] - reach, maps.shape[3] - 2 * reach


def _shifted(maps: Tensor, offsets: tuple[tuple[int, int], ...], radius: int) -> Iterator[Tensor]:
    """Yield a view of the partners of the source cells for each offset."""
    rows, columns = _source_size(maps, radius)
    for dy, dx in offsets:
        left = radius - 1 + dx
        yield maps[:, :, dy : dy + rows, left : left + columns]


def pair_slices(maps: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Return the values at both ends of each pair.

    With ``f = radius - 1``, the source cells (y, x) are those with a partner at every offset:
    ``0 <= y < h - f`` and ``f <= x < w - f``.

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.2, https://arxiv.org/abs/1803.10464

    Shapes:
        maps: ``(N, C, h, w)``, any dtype.
        returns: source ``(N, C, h - f, w - 2f)``, a view, and targets
            ``(N, C, n, h - f, w - 2f)`` in the order of :func:`half_disc_offsets`.

    Raises:
        ValueError: no cell has a partner in every direction.

    Example:
        >>> source, targets = pair_slices(torch.arange(6).view(1, 1, 2, 3), 2)
        >>> source.flatten().tolist(), targets.flatten().tolist()
        ([1], [2, 3, 4, 5])
    """
    offsets = _offsets(radius)
    (source,) = _shifted(maps, ((0, 0),), radius)
    return source, torch.stack(list(_shifted(maps, offsets, radius)), dim=2)


class _FeatureAffinity(torch.autograd.Function):
    """``exp(-mean |difference|)`` that stores no differences for the backward pass."""

    @staticmethod
    def forward(ctx, features: Tensor, radius: int) -> Tensor:
        offsets = _offsets(radius)
        (source,) = _shifted(features, ((0, 0),), radius)
        out = source.new_empty(len(source), len(offsets), *source.shape[2:])
        for k, target in enumerate(_shifted(features, offsets, radius)):
            torch.mean((source - target).abs_(), dim=1, out=out[:, k])
        out.neg_().exp_()
        ctx.save_for_backward(features, out)
        ctx.radius = radius
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        features, out = ctx.saved_tensors
        offsets = _offsets(ctx.radius)
        (source,) = _shifted(features, ((0, 0),), ctx.radius)
        slope = grad * out / -features.shape[1]
        grads = torch.zeros_like(features)
        (grad_source,) = _shifted(grads, ((0, 0),), ctx.radius)
        pairs = zip(
            _shifted(features, offsets, ctx.radius),
            _shifted(grads, offsets, ctx.radius),
            strict=True,
        )
        for k, (target, grad_target) in enumerate(pairs):
            share = (source - target).sign_().mul_(slope[:, k, None])
            grad_source += share
            grad_target -= share
        return grads, None


def feature_affinity(features: Tensor, radius: int) -> Tensor:
    """Return the affinity of the features of each pair: ``exp(-mean |difference|)``.

    Source: Ahn and Kwak, CVPR 2018, Eq. 3, https://arxiv.org/abs/1803.10464

    Shapes:
        features: ``(N, D, h, w)`` float.
        returns: ``(N, n, h - f, w - 2f)`` in (0, 1], for the pairs of :func:`pair_slices`.

    Raises:
        ValueError: no cell has a partner in every direction.

    Example:
        >>> feature_affinity(torch.tensor([[[[0., 0., 1.], [2., 0., 0.]]]]), 2).flatten()
        tensor([0.3679, 0.1353, 1.0000, 1.0000])
    """
    return _FeatureAffinity.apply(features, radius)


class _PathMaximum(torch.autograd.Function):
    """Maximum over each path that stores only the position of the maximum for the backward pass."""

    @staticmethod
    def forward(ctx, edge: Tensor, radius: int) -> Tensor:
        offsets = _offsets(radius)
        size = _source_size(edge, radius)
        out = edge.new_empty(len(edge), len(offsets), *size)
        place = torch.empty_like(out, dtype=torch.int16)
        for k, offset in enumerate(offsets):
            path = torch.cat(list(_shifted(edge, _path(*offset), radius)), dim=1)
            out[:, k], place[:, k] = path.max(dim=1)
        ctx.save_for_backward(place)
        ctx.shape, ctx.radius = edge.shape, radius
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (place,) = ctx.saved_tensors
        width = ctx.shape[3]
        grads = grad.new_zeros(ctx.shape)
        cells = torch.arange(grads[0].numel(), device=grad.device).view(1, *ctx.shape[1:])
        (source,) = _shifted(cells, ((0, 0),), ctx.radius)
        for k, offset in enumerate(_offsets(ctx.radius)):
            steps = torch.tensor([y * width + x for y, x in _path(*offset)], device=grad.device)
            largest = (source[:, 0] + steps[place[:, k].int()]).flatten(1)
            grads.flatten(1).scatter_add_(1, largest, grad[:, k].flatten(1))
        return grads, None


def path_maximum(edge: Tensor, radius: int) -> Tensor:
    """Return the largest boundary probability on the path of each pair, both ends included.

    The affinity of IRN is 1 minus this value.

    Source: Ahn et al., CVPR 2019, Eq. 4, https://arxiv.org/abs/1904.05044

    Shapes:
        edge: ``(N, 1, h, w)`` float, probability of a boundary in each cell.
        returns: ``(N, n, h - f, w - 2f)``, for the pairs of :func:`pair_slices`.

    Raises:
        ValueError: ``edge`` does not have exactly one channel, or no cell has a partner in every
            direction.

    Example:
        >>> path_maximum(torch.tensor([[[[.1, .2, .3], [.4, .1, .1]]]]), 2).flatten()
        tensor([0.3000, 0.4000, 0.2000, 0.3000])
    """
    if edge.ndim != 4 or edge.shape[1] != 1:
        raise ValueError(f'path_maximum: edge must be (N, 1, h, w), got {tuple(edge.shape)}.')
    return _PathMaximum.apply(edge, radius)
