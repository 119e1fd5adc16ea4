"""Base class of the registered losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn


class WeightedLoss(nn.Module):
    """Base of losses that multiply a function by a constant; subclasses set ``function``.

    Args:
        loss_weight: Factor of the loss.
        **settings: Keyword arguments of the function that are not tensors.
    """

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, loss_weight: float = 1.0, **settings: Any) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.settings = settings

    def forward(self, *inputs: Tensor | None, **named: Tensor | None) -> Tensor:
        """Return the weighted loss of the inputs of the function."""
        return self.loss_weight * type(self).function(*inputs, **named, **self.settings)
