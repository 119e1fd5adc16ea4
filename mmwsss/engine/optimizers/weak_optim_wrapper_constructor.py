"""Parameter groups with higher learning rates for new layers and biases."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

DEFAULTS = dict(new=(), as_bias=(), new_lr_mult=10.0, bias_lr_mult=2.0, bias_decay_mult=0.0)


def _matches(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == p or name.startswith(f'{p}.') for p in prefixes)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class WeakOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Build four parameter groups: pretrained and new layers, each with weights and biases.

    Weights of pretrained layers use the base learning rate and their biases ``bias_lr_mult`` times
    that. Both are multiplied by ``new_lr_mult`` for new layers. By default weight decay only
    applies to weights. Frozen parameters and empty groups are omitted. The first group has the
    base learning rate, which is the one in the log.

    ``paramwise_cfg`` holds ``new`` (names of modules without pretrained weights, such as
    ``['cam_head', 'pcm']``), ``as_bias`` (names of parameters or modules to treat as biases),
    ``new_lr_mult`` (10), ``bias_lr_mult`` (2) and ``bias_decay_mult`` (0). A name matches a module
    or parameter and everything in it, but no partial names.

    Source: Ahn and Kwak, CVPR 2018, https://arxiv.org/abs/1803.10464, published code.

    Raises:
        ValueError: a key is unknown, or a name matches no trainable parameter.
    """

    def _validate_cfg(self) -> None:
        unknown = set(self.paramwise_cfg) - set(DEFAULTS)
        if unknown:
            raise ValueError(
                f'WeakOptimWrapperConstructor: paramwise_cfg has no {", ".join(sorted(unknown))}; '
                f'it has {", ".join(DEFAULTS)}.'
            )

    def _groups(self, model: nn.Module) -> list[dict]:
        cfg = {**DEFAULTS, **self.paramwise_cfg}
        new, as_bias = tuple(cfg['new']), tuple(cfg['as_bias'])
        names = [name for name, p in model.named_parameters() if p.requires_grad]
        for prefix in (*new, *as_bias):
            if not any(_matches(name, (prefix,)) for name in names):
                parts = sorted({name.split('.')[0] for name in names})
                raise ValueError(
                    f'WeakOptimWrapperConstructor: no trainable parameter is called {prefix!r} or '
                    f'belongs to it; the model trains {", ".join(parts)}.'
                )
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                is_bias = name.endswith('bias') or _matches(name, as_bias)
                groups.setdefault((_matches(name, new), is_bias), []).append(parameter)
        base_lr, decay = self.base_lr, self.base_wd or 0.0
        return [
            dict(
                params=groups[is_new, is_bias],
                lr=base_lr
                * (cfg['new_lr_mult'] if is_new else 1)
                * (cfg['bias_lr_mult'] if is_bias else 1),
                weight_decay=decay * (cfg['bias_decay_mult'] if is_bias else 1),
            )
            for is_new, is_bias in sorted(groups)
        ]

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Return an optimiser wrapper with the parameter groups of ``model``."""
        model = getattr(model, 'module', model)
        cfg = {'type': 'OptimWrapper', **self.optim_wrapper_cfg}
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': self._groups(model)})
        return OPTIM_WRAPPERS.build(cfg, default_args=dict(optimizer=optimizer))
