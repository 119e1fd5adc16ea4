"""Base class of the registered losses."""

from __future__ import annotations

from torch import nn


class WeightedLoss(nn.Module):
    """Base of losses that are multiplied by a constant ``loss_weight``."""

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
