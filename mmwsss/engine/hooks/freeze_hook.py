"""Hook that lets a part of a network begin to learn later than the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn


def _trained_parameters(model: nn.Module, modules: Sequence[str]) -> list[nn.Parameter]:
    """Return the trained parameters of some modules.

    Args:
        model: The network.
        modules: Names; one stands for itself and all beneath it.

    Raises:
        ValueError: there is no trained parameter of that name.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    found = []
    for module in modules:
        beneath = [p for name, p in named if name == module or name.startswith(f'{module}.')]
        if not beneath:
            parts = sorted({name.split('.')[0] for name, _ in named})
            raise ValueError(
                f'FreezeHook: no trained parameter is called {module!r} or lies beneath it; the '
                f'model trains {", ".join(parts)}.'
            )
        found += beneath
    return found


@HOOKS.register_module()
class FreezeHook(Hook):
    """Leave some modules as they are in the first iterations of a training.

    Their gradients are computed and thrown away before the optimiser sees them: neither weights
    nor moments nor the count of steps change, and no weight decays. Whatever is frozen takes part
    in every backward pass, so that ``DistributedDataParallel`` needs no
    ``find_unused_parameters``, and what acts depends on the iteration alone, so that a training
    goes on rightly when it is resumed. Where ``optim_wrapper`` has ``clip_grad``, frozen gradients
    count in the norm.

    What is to be frozen for ever costs less with ``requires_grad=False``, such as by the
    ``frozen_blocks`` of :class:`TokenViT`.

    Args:
        modules: Names of modules or parameters, such as ``['backbone']``.
        until: First iteration, counted from 0, in which they learn; 0 freezes nothing.

    Raises:
        ValueError: no name is given, or ``until`` is negative; in the training, the model has no
            trained parameter of a name.
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
        """Watch the steps of the optimiser.

        Args:
            runner: The runner.
        """
        model = getattr(runner.model, 'module', runner.model)
        frozen = _trained_parameters(model, self.modules)

        def forget_gradients(*_: Any) -> None:
            if runner.iter < self.until:
                for parameter in frozen:
                    parameter.grad = None

        optimizer = runner.optim_wrapper.optimizer
        self._handle = optimizer.register_step_pre_hook(forget_gradients)

    def after_train(self, runner: Runner) -> None:
        """Leave the optimiser alone.

        Args:
            runner: Not used.
        """
        self._handle.remove()
