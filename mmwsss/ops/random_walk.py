"""Matrix-free random walk of maps along the affinities of nearby cells."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .affinity_pairs import half_disc_offsets

NEGLIGIBLE = 1e-9  # below the rounding error of float32


@cache
def _shares(num_steps: int) -> tuple[float, ...]:
    """Return P(|sum of ``num_steps`` tosses of +-1| >= k) for k = 1, 2, ...

    It decreases fast beyond the square root of ``num_steps``; negligible values are omitted.
    """
    ways, beyond, shares = 1, 0, []
    for k in range(num_steps, 0, -1):
        tosses, odd = divmod(num_steps - k, 2)  # number of tosses of the rarer side
        if not odd:
            beyond += 2 * ways
            ways = ways * (num_steps - tosses) // (tosses + 1)
        shares.append(beyond / 2**num_steps)
    return tuple(share for share in reversed(shares) if share > NEGLIGIBLE)


class _Step:
    """Change of maps in one step of the walk: ``(T - 1) maps`` for the transition matrix T.

    Rows are concatenated with a margin of zeros, so that an offset is one shift of the whole
    plane, and whatever leaves it ends up in the margin. The change excludes the value of the cell
    itself: added to it, the small affinities after a large power would be lost to rounding.
    """

    def __init__(self, weights: Tensor, radius: int) -> None:
        height, width = weights.shape[2:]
        self.margin = radius - 1
        self.size = (height, width + self.margin)
        shifts = [dy * self.size[1] + dx for dy, dx in half_disc_offsets(radius).tolist()]
        planes = self.flatten(weights)
        self.links = [(s, planes[:, k, None, :-s]) for k, s in enumerate(shifts)]
        inside = self.flatten(weights.new_ones(len(weights), 1, height, width))
        self.degree = self.spread(inside, torch.zeros_like(inside))
        self.scale = inside / (1 + self.degree)

    def flatten(self, maps: Tensor) -> Tensor:
        """Concatenate the rows with their margins."""
        return F.pad(maps, (0, self.margin)).flatten(2)

    def unflatten(self, maps: Tensor) -> Tensor:
        """Undo :meth:`flatten`."""
        return maps.unflatten(2, self.size)[..., : self.size[1] - self.margin]

    def spread(self, maps: Tensor, out: Tensor) -> Tensor:
        """Add the weighted sum over the partners of each cell to ``out``."""
        for shift, weight in self.links:
            out[..., :-shift].addcmul_(weight, maps[..., shift:])
            out[..., shift:].addcmul_(weight, maps[..., :-shift])
        return out

    def __call__(self, maps: Tensor) -> Tensor:
        out = self.spread(maps, torch.zeros_like(maps))
        return out.addcmul_(maps, self.degree, value=-1).mul_(self.scale)


@torch.no_grad()
def random_walk(
    maps: Tensor, affinity: Tensor, *, radius: int, beta: float, num_steps: int
) -> Tensor:
    """Spread maps along affinities: ``maps @ T^num_steps``.

    ``A`` is the symmetric matrix of affinities with ones on the diagonal, and ``T`` its
    elementwise power ``A^beta`` with columns normalised to sum 1. No gradient flows.

    Since the eigenvalues of T lie in [-1, 1], its power is a mean of Chebyshev polynomials,
    ``x^n = E[T_|S|(x)]`` with ``S`` the sum of n tosses of +-1. About ``6 sqrt(num_steps)``
    products therefore replace ``num_steps``, with the same result up to rounding.

    Source: Ahn and Kwak, CVPR 2018, Eqs. 9 and 10, https://arxiv.org/abs/1803.10464

    Args:
        radius: Radius of the pairs in cells, see :func:`half_disc_offsets`.
        beta: Exponent applied to every affinity; larger values suppress weak links.

    Shapes:
        maps: ``(N, C, h, w)`` float.
        affinity: ``(N, n, h, w)`` float in [0, 1], between each cell and its partner at each
            offset. Pairs with a partner outside the map are ignored.
        returns: ``(N, C, h, w)`` float32, or float64 if an input is.

    Raises:
        ValueError: the shapes do not match, ``beta`` is not positive or ``num_steps`` is
            negative.

    Example:
        >>> ones = torch.ones(1, 4, 1, 4)
        >>> cam = torch.tensor([0., 6., 0., 0.]).view(1, 1, 1, 4)
        >>> random_walk(cam, ones, radius=2, beta=8, num_steps=1)
        tensor([[[[3., 2., 2., 0.]]]])
    """
    count = len(half_disc_offsets(radius))
    if maps.ndim != 4 or affinity.shape != (len(maps), count, *maps.shape[2:]):
        raise ValueError(
            f'random_walk: maps must be (N, C, h, w) and affinity (N, {count}, h, w) for radius '
            f'{radius} with the same N, h and w, got {tuple(maps.shape)} and '
            f'{tuple(affinity.shape)}.'
        )
    if beta <= 0 or num_steps < 0:
        raise ValueError(
            'random_walk: beta must be positive and num_steps not negative, got '
            f'{beta} and {num_steps}.'
        )
    dtype = torch.promote_types(torch.promote_types(maps.dtype, affinity.dtype), torch.float32)
    step = _Step(affinity.to(dtype).pow(beta), radius)
    current = step.flatten(maps.to(dtype))
    walked = current.clone()
    change = None
    for share in _shares(num_steps):
        # T_{k+1} - T_k = (T_k - T_{k-1}) + 2 (T - 1) T_k, from T_1 - T_0 = T - 1
        added = step(current)
        change = added if change is None else change.add_(added, alpha=2)
        current += change
        walked.add_(change, alpha=share)
    return step.unflatten(walked)
