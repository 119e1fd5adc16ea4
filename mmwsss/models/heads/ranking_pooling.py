"""Pooling that weights positions by their rank."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn


def ranking_pooling(x: Tensor, *, decay: float = 0.996) -> Tensor:
    """Weighted mean of each channel in which the k-th largest position counts ``decay ** k``.

    ``decay=0`` is the maximum, ``decay=1`` the mean.

    Source: Kolesnikov and Lampert, ECCV 2016, https://arxiv.org/abs/1603.06098 (global weighted
    rank pooling).

    Args:
        decay: Weight of a position relative to the next larger one, 0 to 1.

    Shapes:
        x: ``(N, L, C)`` float.
        returns: ``(N, C)``.

    Example:
        >>> x = torch.tensor([[1., 4., 2.]]).T[None]
        >>> [round(ranking_pooling(x, decay=d).item(), 2) for d in (0, .5, 1)]
        [4.0, 3.0, 2.33]
    """
    # in half precision the weights of neighbours would be the same
    values = x.to(torch.promote_types(x.dtype, torch.float32))
    ranks = torch.arange(x.shape[1], device=x.device, dtype=values.dtype)
    weights = torch.full_like(ranks, decay) ** ranks
    ordered = values.sort(dim=1, descending=True).values
    return ((ordered * weights[:, None]).sum(dim=1) / weights.sum()).to(x.dtype)


@MODELS.register_module()
class RankingPooling(nn.Module):
    """Registered :func:`ranking_pooling`, for the ``pooling`` of a head.

    Source: Kolesnikov and Lampert, ECCV 2016, https://arxiv.org/abs/1603.06098; as patch scores of
    MCTformer+, Xu et al., TPAMI 2024, https://arxiv.org/abs/2308.03005

    Args:
        decay: Weight of a position relative to the next larger one: 0 is the maximum, 1 the mean.

    Raises:
        ValueError: ``decay`` is not in 0 to 1.
    """

    def __init__(self, decay: float = 0.996) -> None:
        super().__init__()
        if not 0 <= decay <= 1:
            raise ValueError(f'RankingPooling: decay must lie in 0 to 1, got {decay!r}.')
        self.decay = decay

    def forward(self, x: Tensor) -> Tensor:
        """Pool the positions: ``(N, L, C)`` -> ``(N, C)``."""
        return ranking_pooling(x, decay=self.decay)

    def extra_repr(self) -> str:
        """Return the settings, as PyTorch prints them."""
        return f'decay={self.decay}'
