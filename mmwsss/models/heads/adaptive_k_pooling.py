"""Pooling that counts the strongest positions, and as many more as come near the strongest."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn


def adaptive_k_pooling(
    x: Tensor, *, k: int = 6, margin: float = 0.05, relative: bool = False
) -> Tensor:
    """Mean of the k largest positions of each channel and of all others near its maximum.

    Near is what lies less than ``margin`` below the maximum. No position is sorted but the first
    k: what is near beyond them contains them all.

    Source: Wu et al. (APC), 2024, Eq. 2 and Algorithm 1, https://arxiv.org/abs/2407.10649; the
    text leaves the margin open.

    Args:
        k: How many positions count at least; all of them where there are fewer.
        margin: Distance from the maximum, in the unit of ``x``; 0 adds none.
        relative: Whether the margin is a share of the maximum, the ratio that Sec. 3 of the paper
            speaks of: a position counts from ``(1 - margin)`` times the maximum on. A maximum
            below 0 has nothing near it.

    Shapes:
        x: ``(N, L, C)`` float.
        returns: ``(N, C)``.

    Example:
        >>> x = torch.tensor([[1., .75, .5, 0.]]).T[None]
        >>> [adaptive_k_pooling(x, k=1, margin=m).item() for m in (0, .3, .6)]
        [1.0, 0.875, 0.75]
        >>> [adaptive_k_pooling(x / 2, k=1, margin=.3, relative=r).item() for r in (False, True)]
        [0.375, 0.4375]
    """
    if k >= x.shape[1]:
        return x.mean(dim=1)
    # the sum over a large grid would leave the range of half precision
    values = x.to(torch.promote_types(x.dtype, torch.float32))
    top = values.topk(k, dim=1).values
    near = top[:, :1] - values < (margin * top[:, :1] if relative else margin)
    num = near.sum(dim=1)
    # at least k in the divisor: a quotient that is not used must have a finite gradient, too
    mean = torch.where(near, values, 0).sum(dim=1) / num.clamp(min=k)
    return torch.where(num > k, mean, top.mean(dim=1)).to(x.dtype)


@MODELS.register_module()
class AdaptiveKPooling(nn.Module):
    """Registered :func:`adaptive_k_pooling`, for the ``pooling`` of a head.

    ``k=1, margin=0`` is the maximum, a k of all positions or more the average, ``margin=0`` the
    mean of the k largest.

    Source: Wu et al. (APC), 2024, Eq. 2 and Algorithm 1, https://arxiv.org/abs/2407.10649; the
    text leaves the margin open.

    Args:
        k: How many positions count at least; all of them where a map has fewer.
        margin: Positions less than this below the maximum count, too; in the unit of the maps.
        relative: Whether the margin is a share of the maximum.

    Raises:
        ValueError: ``k`` is not a positive whole number, or ``margin`` is negative.
    """

    def __init__(self, k: int = 6, margin: float = 0.05, *, relative: bool = False) -> None:
        super().__init__()
        if not isinstance(k, int) or k < 1:
            raise ValueError(
                f'AdaptiveKPooling: k must be a whole number of at least 1, got {k!r}.'
            )
        if not margin >= 0:
            raise ValueError(
                f'AdaptiveKPooling: margin must not be negative, got {margin!r}; 0 gives the mean '
                'of the k largest.'
            )
        self.k = k
        self.margin = margin
        self.relative = relative

    def forward(self, x: Tensor) -> Tensor:
        """Pool the positions: ``(N, L, C)`` -> ``(N, C)``."""
        return adaptive_k_pooling(x, k=self.k, margin=self.margin, relative=self.relative)

    def extra_repr(self) -> str:
        """Return the settings, as PyTorch prints them."""
        return f'k={self.k}, margin={self.margin}, relative={self.relative}'
