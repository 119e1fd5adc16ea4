"""What the registered losses share: a function, its settings and a weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn


class WeightedLoss(nn.Module):
    """A loss function as a module; subclasses name the function.

    Args:
        loss_weight: Factor on the loss.
        **settings: Arguments of the function that are no tensors.
    """

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, loss_weight: float = 1.0, **settings: Any) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.settings = settings

    def forward(self, *inputs: Tensor | None, **named: Tensor | None) -> Tensor:
        """Return the weighted loss; inputs, their names and shapes are those of the function."""
        return self.loss_weight * type(self).function(*inputs, **named, **self.settings)
