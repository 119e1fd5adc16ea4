"""Random walk of maps along affinities of nearby cells, without a matrix."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .affinity_pairs import half_disc_offsets

NEGLIGIBLE = 1e-9  # share of a walk below the rounding of float32


@cache
def _shares(num_steps: int) -> tuple[float, ...]:
    """Return the chance that ``num_steps`` tosses of +-1 sum to -k or k or beyond, k = 1, 2, ...

    It falls off beyond the square root of ``num_steps``; what is negligible is left out.
    """
    ways, beyond, shares = 1, 0, []
    for k in range(num_steps, 0, -1):
        tosses, odd = divmod(num_steps - k, 2)  # of the rarer side
        if not odd:
            beyond += 2 * ways
            ways = ways * (num_steps - tosses) // (tosses + 1)
        shares.append(beyond / 2**num_steps)
    return tuple(share for share in reversed(shares) if share > NEGLIGIBLE)


class _Step:
    """What a step of the walk adds to maps: ``(T - 1) maps`` for the transition T.

    Rows are laid end to end with a margin of zeros, so that a direction is one shift of the
    whole plane and what leaves it lands in the margin. The sums leave a cell's own value out:
    beside it the weak links that a large power leaves would be lost to rounding at every step.
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
        """Lay the rows end to end."""
        return F.pad(maps, (0, self.margin)).flatten(2)

    def unflatten(self, maps: Tensor) -> Tensor:
        """Undo :meth:`flatten`."""
        return maps.unflatten(2, self.size)[..., : self.size[1] - self.margin]

    def spread(self, maps: Tensor, out: Tensor) -> Tensor:
        """Add the weighted sum over each cell's partners to ``out``."""
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

    ``T = A^beta`` elementwise with columns that sum to 1, for ``A`` the symmetric matrix of
    the pairs' affinities with ones on the diagonal. All maps of all images walk at once;
    no gradient flows.

    A power of T is a mean of its Chebyshev polynomials, ``x^n = E[T_|S|(x)]`` with ``S`` the
    sum of n tosses of +-1, since the eigenvalues of T lie in [-1, 1]. So about
    ``6 sqrt(num_steps)`` products do the work of ``num_steps``, with the same result up to
    rounding.

    Source: Ahn and Kwak, CVPR 2018, Eqs. 9 and 10, https://arxiv.org/abs/1803.10464

    Args:
        radius: Of the pairs, in cells; see :func:`half_disc_offsets`.
        beta: Exponent applied to every affinity; larger trusts weak links less.
        num_steps: Length of the walk.

    Shapes:
        maps: ``(N, C, h, w)`` float.
        affinity: ``(N, n, h, w)`` float in [0, 1]: of each cell and its partner in each
            direction. Pairs whose partner lies outside are left out, whatever their value.
        returns: ``(N, C, h, w)`` float32, or float64 if an input is.

    Raises:
        ValueError: the shapes do not fit each other, ``beta`` is not positive or ``num_steps``
            is negative.

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
