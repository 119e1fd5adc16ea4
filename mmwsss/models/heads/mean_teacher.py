"""A module and its averaged copy, which teaches it."""

from __future__ import annotations

from copy import deepcopy

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class MeanTeacher(BaseModule):
    """A student that learns and a teacher that is the moving average of its parameters.

    The teacher starts as a copy, has no gradient and is saved with the rest. Who trains calls
    :meth:`update` once an iteration. MMEngine's ``ExponentialMovingAverage`` reads its counter
    back from the device at every update.

    Source: Tarvainen and Valpola, NeurIPS 2017, https://arxiv.org/abs/1703.01780

    Args:
        module: Config of the student, such as :class:`ProjectionHead`.
        momentum: Share of itself that the teacher keeps in an update, 0 to 1.
        init_cfg: Initialisation.

    Raises:
        ValueError: ``momentum`` is out of range.
    """

    def __init__(
        self, module: dict, momentum: float = 0.9, *, init_cfg: dict | list[dict] | None = None
    ) -> None:
        super().__init__(init_cfg)
        if not 0 <= momentum <= 1:
            raise ValueError(f'MeanTeacher: momentum must lie in 0 to 1, got {momentum}.')
        self.momentum = momentum
        self.student = MODELS.build(module)
        self.teacher = deepcopy(self.student).requires_grad_(False)

    def init_weights(self) -> None:
        """Initialise the student and make the teacher its copy."""
        super().init_weights()
        self.teacher.load_state_dict(self.student.state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Move the teacher's parameters towards the student's."""
        pairs = zip(self.teacher.parameters(), self.student.parameters(), strict=True)
        for average, parameter in pairs:
            average.lerp_(parameter, 1 - self.momentum)

    @torch.no_grad()
    def teach(self, x: Tensor) -> Tensor:
        """Return the teacher's output, without gradient."""
        return self.teacher(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the student's output."""
        return self.student(x)
