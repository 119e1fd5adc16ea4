"""Gaussian filtering of points in several dimensions with the permutohedral lattice."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-20
MAX_CELLS = 2**62  # keys of lattice points are 64-bit
MAX_WEIGHTS = 2**31 - 1  # indices in the sparse matrices are 32-bit
FLOATS = (torch.float32, torch.float64)


class _SparseRows(NamedTuple):
    """A sparse matrix in row-major order, for products with tall matrices of a few columns."""

    places: Tensor  # (nonzeros,) int32, column indices
    weights: Tensor  # (nonzeros,)
    starts: Tensor  # (rows,) int32, index of the first element of each row

    def matmul(self, rows: Tensor) -> Tensor:
        # several times as fast as torch.sparse for few columns
        return F.embedding_bag(
            self.places, rows, self.starts, mode='sum', per_sample_weights=self.weights
        )


class _Filter(torch.autograd.Function):
    """Splat, blur along each axis, slice: a chain of sparse products.

    Splat and slice are each other's transpose and each blur is symmetric, so the backward pass
    is the same chain with the blurs in reverse order.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, lattice: PermutohedralLattice, reverse: bool) -> Tensor:
        ctx.lattice, ctx.reverse = lattice, reverse
        rows = lattice.splat.matmul(rows)
        for blur in reversed(lattice.blurs) if reverse else lattice.blurs:
            rows = blur.matmul(rows)
        return lattice.slice.matmul(rows)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Filter.apply(grad.contiguous(), ctx.lattice, not ctx.reverse), None, None


def _embed(features: Tensor) -> Tensor:
    """Map points onto the hyperplane of the lattice, whose vectors sum to 0.

    The scale makes splat, blur and slice together a Gaussian of standard deviation 1.

    Shapes:
        features: ``(D, P)``.
        returns: ``(D + 1, P)``; a lattice cell has side D + 1.
    """
    dim = len(features)
    points = features.new_zeros(dim + 1, features.shape[1])
    # same order of operations and roundings as other implementations: the last bit can decide
    # on which side of a boundary a point lies, and thus which corners the lattice has
    unit = torch.tensor(math.sqrt(2 / 3) * (dim + 1), dtype=features.dtype).double()
    for axis in range(dim, 0, -1):
        scaled = features[axis - 1] * (unit / math.sqrt(axis * (axis + 1))).to(features.dtype)
        points[axis] = points[0] - axis * scaled
        points[0] += scaled
    return points


def _ranks(rests: Tensor) -> Tensor:
    """Return the descending rank of each element in its column, ``(D + 1, P)`` int8."""
    ranks = torch.zeros_like(rests, dtype=torch.int8)
    # comparing pairs of axes takes a tenth of the time of sorting many short columns
    for i in range(len(rests)):
        for j in range(i + 1, len(rests)):
            smaller = rests[i] < rests[j]
            ranks[i] += smaller
            ranks[j] += ~smaller
    return ranks


def _corners(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the corners of the simplex around each point, as integer keys, and their weights.

    The first D coordinates identify a lattice point. They are packed into one integer, so that
    a step along an axis adds the same number to every key.

    Shapes:
        features: ``(N, D, P)``.
        returns: keys ``(D + 1, N * P)`` int64, weights ``(D + 1, N * P)``, and the increment of a
            key for a step along each axis ``(D + 1,)`` int64.
    """
    batch, dim, _ = features.shape
    points = _embed(features.transpose(0, 1).flatten(1))
    base = (points * (1 / (dim + 1))).round_()
    rests = points.sub_(base * (dim + 1))
    ranks = _ranks(rests)
    # if the rounded coordinates do not sum to 0, those with the largest error move by one cell
    ranks += base.sum(0).to(torch.int8)
    wraps = torch.div(ranks, dim + 1, rounding_mode='floor')
    ranks -= wraps * (dim + 1)
    base -= wraps
    rests.mul_(1 / (dim + 1)).add_(wraps)
    # corners and their neighbours are up to two cells away
    base = base[:dim] - base[dim]
    lowest = base.amin(1) - 2
    sizes = base.amax(1) + 3 - lowest
    # synchronises with the device, which sorting the keys does anyway
    if not bool(sizes.prod() * batch < MAX_CELLS):
        raise ValueError(
            'PermutohedralLattice: features must be finite and span fewer than 2**62 cells, '
            f'got {sizes.tolist()} cells along the axes; use a larger standard deviation.'
        )
    strides = F.pad(sizes.long().cumprod(0), (1, 0), value=1)
    steps = F.pad(-strides[:-1], (0, 1))
    steps[-1] = -steps.sum()
    first = (base - lowest[:, None]).long().mul_(strides[:-1, None]).sum(0)
    first.view(batch, -1).add_(torch.arange(batch, device=first.device)[:, None] * strides[-1])
    # the path from corner to corner takes one step along each axis, smallest rest first
    order = (dim - ranks).long()
    rests = torch.empty_like(rests).scatter_(0, order, rests)
    moves = torch.empty_like(order).scatter_(0, order, steps[:, None].expand_as(order))
    keys = torch.cat([first[None], moves[:-1].cumsum(0).add_(first)])
    weights = torch.cat([1 + rests[:1] - rests[-1:], rests[1:] - rests[:-1]])
    return keys, weights, steps


def _blur(keys: Tensor, step: Tensor, dtype: torch.dtype) -> _SparseRows:
    """Return the matrix that adds half of each of the two neighbours along an axis.

    Shapes:
        keys: ``(M,)`` int64, ascending.
    """
    num_keys = len(keys)
    here = torch.arange(num_keys, device=keys.device, dtype=torch.int32)
    wanted = keys + step
    ahead = torch.searchsorted(keys, wanted).clamp_(max=num_keys - 1)
    ahead = ahead.where(keys.index_select(0, ahead) == wanted, num_keys)
    # inverse of `ahead`; keys without a neighbour share an extra last slot, which is cut off
    behind = here.new_full((num_keys + 1,), num_keys).scatter_(0, ahead, here)[:-1]
    places = torch.stack([here, ahead.to(torch.int32), behind], dim=1)
    there = places < num_keys
    weights = there * torch.tensor([1, 0.5, 0.5], dtype=dtype, device=keys.device)
    return _SparseRows(
        places.where(there, here[:, None]).flatten(), weights.flatten(), here * len(places[0])
    )


class PermutohedralLattice:
    r"""Gaussian filter of values at points: :math:`out_i = \sum_j e^{-|f_i - f_j|^2 / 2} v_j`.

    Values are splatted onto the corners of a lattice, blurred along its axes and sliced back, in
    time linear in the number of points. The lattice depends on the features only; build it once
    to filter many values.

    The result is an approximation, the same as in other implementations of this lattice. For
    dense points it is too small by an eighth in 2 dimensions and by a third to a half in 5, where
    the blur loses values to corners without points. The normalised filter is far more accurate.

    Source: Adams et al., Eurographics 2010,
    https://graphics.stanford.edu/papers/permutohedral/

    Args:
        normalize: Divide by the square root of the filtered ones before and after filtering, so
            that weights sum to about 1 and stay symmetric.

    Shapes:
        features: ``(N, D, P)`` float32 or float64, positions divided by the standard deviation
            along each of the D dimensions; the N sets of points are independent.

    Raises:
        ValueError: ``features`` have another shape or dtype, are not finite, too far apart or too
            many.

    Example:
        >>> lattice = PermutohedralLattice(torch.tensor([[[0., 0., 9.]]]), normalize=True)
        >>> lattice.filter(torch.tensor([[[1., 3., 5.]]])).round(decimals=3)
        tensor([[[2., 2., 5.]]])
    """

    def __init__(self, features: Tensor, *, normalize: bool = False) -> None:
        if features.ndim != 3 or not features.numel() or features.dtype not in FLOATS:
            raise ValueError(
                'PermutohedralLattice: features must be (N, D, P) in float32 or float64 and '
                f'not empty, got {tuple(features.shape)} in {features.dtype}.'
            )
        self.batch, dim, self.num_points = features.shape
        num_rows = self.batch * self.num_points
        if num_rows * (dim + 1) > MAX_WEIGHTS:
            raise ValueError(
                f'PermutohedralLattice: {num_rows} points in {dim} dimensions are too many for '
                'one lattice; filter fewer images at a time.'
            )
        keys, weights, steps = _corners(features.detach())
        keys, order = keys.flatten().sort(stable=True)
        new = F.pad(keys[1:] != keys[:-1], (1, 0), value=True)
        starts = new.nonzero().flatten()
        keys = keys[starts]
        self.blurs = [_blur(keys, step, weights.dtype) for step in steps]
        vertices = new.cumsum(0, dtype=torch.int32).sub_(1)
        vertices = torch.empty_like(vertices).scatter_(0, order, vertices)
        rows = torch.arange(num_rows, dtype=torch.int32, device=keys.device)
        self.slice = _SparseRows(
            vertices.view(dim + 1, -1).t().flatten(),
            weights.t().flatten() / (1 + 2.0**-dim),  # approximates the height of the Gaussian
            rows * (dim + 1),
        )
        self.splat = _SparseRows(
            order.to(torch.int32).remainder_(num_rows),
            weights.flatten().index_select(0, order),
            starts.to(torch.int32),
        )
        if normalize:
            ones = weights.new_ones(num_rows, 1)
            self._scale((_Filter.apply(ones, self, False).flatten() + EPS).rsqrt())

    def _scale(self, factors: Tensor) -> None:
        """Multiply values by one factor per point before and after filtering."""
        places = self.splat.places
        self.splat.weights.mul_(factors.index_select(0, places))
        self.slice.weights.view(len(factors), -1).mul_(factors[:, None])

    def filter(self, values: Tensor) -> Tensor:
        """Filter values; differentiable any number of times with respect to them.

        Shapes:
            values: ``(N, C, P)`` float, converted to the dtype of the features.
            returns: the same shape.

        Raises:
            ValueError: N or P does not match the features.
        """
        if values.ndim != 3 or values.shape[::2] != (self.batch, self.num_points):
            raise ValueError(
                f'PermutohedralLattice: values must be ({self.batch}, C, {self.num_points}) as '
                f'the features are, got {tuple(values.shape)}.'
            )
        rows = self.filter_rows(values.transpose(1, 2).flatten(0, 1))
        return rows.unflatten(0, (self.batch, -1)).transpose(1, 2)

    def filter_rows(self, rows: Tensor) -> Tensor:
        """Filter values with the points as rows, without a copy.

        Shapes:
            rows: ``(N * P, C)`` float.
            returns: the same shape.
        """
        return _Filter.apply(rows.to(self.slice.weights.dtype).contiguous(), self, False)


def pixel_features(images: Tensor, *, sigma_xy: float, sigma_rgb: float | None = None) -> Tensor:
    """Return the positions, and optionally the colours, of pixels as features of a lattice.

    Args:
        sigma_xy: Standard deviation of positions, in pixels.
        sigma_rgb: Standard deviation of colours, in the unit of the images; None omits colours.

    Shapes:
        images: ``(N, 3, H, W)``.
        returns: ``(N, 2, H * W)``, x and y, or with colours ``(N, 5, H * W)``, float32, or
            float64 where the images are.

    Example:
        >>> pixel_features(torch.zeros(1, 3, 1, 3), sigma_xy=2)
        tensor([[[0.0000, 0.5000, 1.0000],
                 [0.0000, 0.0000, 0.0000]]])
    """
    dtype = torch.promote_types(images.dtype, torch.float32)
    height, width = images.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, dtype=dtype, device=images.device),
        torch.arange(width, dtype=dtype, device=images.device),
        indexing='ij',
    )
    features = (torch.stack([x, y]) / sigma_xy).expand(len(images), -1, -1, -1)
    if sigma_rgb is not None:
        features = torch.cat([features, images.to(dtype) / sigma_rgb], dim=1)
    return features.flatten(2)
