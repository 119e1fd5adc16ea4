"""Pooling that counts the strongest positions alone."""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class TopKPooling(nn.Module):
    """Mean of the k largest positions of each channel.

    Args:
        k: How many positions count; all of them where a map has fewer.

    Raises:
        ValueError: ``k`` is not positive.

    Example:
        >>> import torch
        >>> TopKPooling(k=2)(torch.tensor([[[1.], [5.], [3.]]])).item()
        4.0
    """

    def __init__(self, k: int = 6) -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f'TopKPooling: k must be at least 1, got {k}.')
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """Pool the positions: ``(N, L, C)`` -> ``(N, C)``."""
        return x.topk(min(self.k, x.shape[1]), dim=1, sorted=False).values.mean(dim=1)
