"""Hook that freezes a part of a network during the first iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn


def _trained_parameters(model: nn.Module, modules: Sequence[str]) -> list[nn.Parameter]:
    """Return the trainable parameters of modules, given by name.

    Raises:
        ValueError: a name matches no trainable parameter.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    found = []
    for module in modules:
        beneath = [p for name, p in named if name == module or name.startswith(f'{module}.')]
        if not beneath:
            parts = sorted({name.split('.')[0] for name, _ in named})
            raise ValueError(
                f'FreezeHook: no trainable parameter is called {module!r} or belongs to it; the '
                f'model trains {", ".join(parts)}.'
            )
        found += beneath
    return found


@HOOKS.register_module()
class FreezeHook(Hook):
    """Freeze modules during the first iterations of a training.

    Their gradients are computed, but removed before each step of the optimiser, so weights,
    moments and step counts do not change and weight decay has no effect. All parameters take part
    in every backward pass, so DDP does not need ``find_unused_parameters``. The state depends only
    on the iteration, so trainings can be resumed. With ``clip_grad``, frozen gradients contribute
    to the norm.

    To freeze modules permanently, use ``requires_grad=False``, e.g. ``frozen_blocks`` of
    :class:`TokenViT`, which is cheaper.

    Args:
        modules: Names of modules or parameters, such as ``['backbone']``.
        until: First iteration in which they learn, counted from 0; 0 freezes nothing.

    Raises:
        ValueError: ``modules`` is empty, or ``until`` is negative; before training, a name matches
            no trainable parameter.
    """

    def __init__(self, modules: Sequence[str], until: int) -> None:
        if isinstance(modules, str) or not modules:
            raise ValueError(
                f"FreezeHook: modules must be a list of names, such as ['backbone'], got "
                f'{modules!r}.'
            )
        if until < 0:
            raise ValueError(f'FreezeHook: until must not be negative, got {until}.')
        self.modules = tuple(modules)
        self.until = until
        self._handle = None

    def before_train(self, runner: Runner) -> None:
        """Register a hook on the steps of the optimiser."""
        model = getattr(runner.model, 'module', runner.model)
        frozen = _trained_parameters(model, self.modules)

        def remove_gradients(*_: Any) -> None:
            if runner.iter < self.until:
                for parameter in frozen:
                    parameter.grad = None

        optimizer = runner.optim_wrapper.optimizer
        self._handle = optimizer.register_step_pre_hook(remove_gradients)

    def after_train(self, runner: Runner) -> None:
        """Remove the hook on the optimiser."""
        self._handle.remove()
