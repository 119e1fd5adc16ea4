"""What a network finds between all pairs of places of an image."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class PairMaps(NamedTuple):
    """Maps of pairs, to be looked at: ``pair_maps`` of :class:`SEAM` and :class:`AFA`.

    Shapes:
        maps: by name, each ``(N, L, L)`` float; row i says what place i has to do with each other.
        grid: ``(h, w)`` with h * w = L places in row-major order.
    """

    maps: dict[str, Tensor]
    grid: tuple[int, int]
