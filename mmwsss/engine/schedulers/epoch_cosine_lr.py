"""Cosine schedule with warm-up whose learning rate changes after each epoch."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmseg.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class EpochCosineLR(LRSchedulerMixin, _ParamScheduler):
    r"""Linear warm-up and cosine as timm's trainings have them, constant within an epoch.

    That code sets the rate of an epoch after it, so :math:`t = \max(\text{epoch} - 1, 0)` counts.
    For t below ``warmup`` the rate is ``start + (lr - start) * t / warmup``, from there on
    ``eta_min + (lr - eta_min) * (1 + cos(pi * t / epochs)) / 2``.

    Source: ``CosineLRScheduler`` of https://github.com/huggingface/pytorch-image-models

    Args:
        T_max: Length of the training in iterations.
        step_size: Length of an epoch in iterations.
        warmup: Epochs of the warm-up.
        start: Learning rate of the first epoch and the one after it.
        eta_min: Learning rate to which the cosine falls.
        **kwargs: Arguments of MMEngine's schedulers; ``by_epoch`` must be False.

    Raises:
        ValueError: a length is not positive, ``warmup`` is negative, or ``by_epoch`` is True.
    """

    def __init__(
        self,
        *args: Any,
        T_max: int,  # noqa: N803, as MMEngine calls it
        step_size: int,
        warmup: int = 5,
        start: float = 1e-6,
        eta_min: float = 1e-5,
        by_epoch: bool = False,
        **kwargs: Any,
    ) -> None:
        if min(T_max, step_size) < 1 or warmup < 0 or by_epoch:
            raise ValueError(
                'EpochCosineLR: T_max and step_size must be at least 1 iteration, warmup not '
                f'negative and by_epoch False, got {T_max}, {step_size}, {warmup} and {by_epoch}.'
            )
        self.T_max, self.step_size, self.warmup = T_max, step_size, warmup
        self.start, self.eta_min = start, eta_min
        super().__init__(*args, by_epoch=by_epoch, **kwargs)

    def _value(self, base: float) -> float:
        epoch = max(self.last_step // self.step_size - 1, 0)
        if epoch < self.warmup:
            return self.start + (base - self.start) * epoch / self.warmup
        share = epoch * self.step_size / self.T_max
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * share)) / 2

    def _get_value(self) -> list[float]:
        """Return the learning rate of each group."""
        return [self._value(base) for base in self.base_values]
