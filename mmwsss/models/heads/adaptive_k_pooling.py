"""Adaptive top-k pooling: averages the k largest positions and all others close to the maximum."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn


def adaptive_k_pooling(
    x: Tensor, *, k: int = 6, margin: float = 0.05, relative: bool = False
) -> Tensor:
    """Average the k largest positions of each channel and all others close to its maximum.

    A position is close if it is less than ``margin`` below the maximum. If more than k positions
    are close, they include the k largest, so only k positions have to be sorted.

    Source: Wu et al. (APC), 2024, Eq. 2 and Algorithm 1, https://arxiv.org/abs/2407.10649; the
    paper does not specify the margin.

    Args:
        k: Minimum number of positions; all of them if there are fewer.
        margin: Distance from the maximum, in the unit of ``x``; 0 adds no positions.
        relative: Interpret the margin as a fraction of the maximum, the ratio of Sec. 3 of the
            paper: positions above ``(1 - margin) * maximum`` are close. A negative maximum has
            no close positions.

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
    # the sum over a large grid overflows in half precision
    values = x.to(torch.promote_types(x.dtype, torch.float32))
    top = values.topk(k, dim=1).values
    near = top[:, :1] - values < (margin * top[:, :1] if relative else margin)
    num = near.sum(dim=1)
    # the divisor must not be 0, even if the quotient is not used: its gradient would be NaN
    mean = torch.where(near, values, 0).sum(dim=1) / num.clamp(min=k)
    return torch.where(num > k, mean, top.mean(dim=1)).to(x.dtype)


@MODELS.register_module()
class AdaptiveKPooling(nn.Module):
    """Registered :func:`adaptive_k_pooling`, for the ``pooling`` of a head.

    ``k=1, margin=0`` is max pooling, ``margin=0`` the mean of the k largest positions, and a k of
    at least the number of positions average pooling.

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
        """Return the settings for ``repr``."""
        return f'k={self.k}, margin={self.margin}, relative={self.relative}'
