"""Parameter groups of methods that train new layers and biases faster."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

DEFAULTS = dict(new=(), as_bias=(), new_lr_mult=10.0, bias_lr_mult=2.0, bias_decay_mult=0.0)


def _matches(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == p or name.startswith(f'{p}.') for p in prefixes)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class WeakOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Four groups: pretrained and new, each as weights and biases.

    Weights of pretrained layers learn at the base rate, their biases at ``bias_lr_mult`` times
    that; new layers at ``new_lr_mult`` times as much in either case. Only weights decay, unless
    ``bias_decay_mult`` says otherwise. Frozen parameters are left out, empty groups too, and the
    first group has the lowest rate, so the log shows the base rate.

    ``paramwise_cfg`` holds ``new`` (names of the modules that start without pretrained weights,
    such as ``['cam_head', 'pcm']``), ``as_bias`` (names of parameters or modules treated as
    biases whatever they are called), ``new_lr_mult`` (10), ``bias_lr_mult`` (2) and
    ``bias_decay_mult`` (0). A name stands for itself and all beneath it, never for a part of
    another name.

    Source: Ahn and Kwak, CVPR 2018, https://arxiv.org/abs/1803.10464, published code.

    Args:
        optim_wrapper_cfg: Config of the wrapper with its ``optimizer``.
        paramwise_cfg: See above.

    Raises:
        ValueError: an unknown key, or a name that no trained parameter has.
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
                    f'WeakOptimWrapperConstructor: no trained parameter is called {prefix!r} or '
                    f'lies beneath it; the model trains {", ".join(parts)}.'
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
        """Return the wrapper of an optimiser over the groups of ``model``."""
        model = getattr(model, 'module', model)
        cfg = {'type': 'OptimWrapper', **self.optim_wrapper_cfg}
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': self._groups(model)})
        return OPTIM_WRAPPERS.build(cfg, default_args=dict(optimizer=optimizer))
