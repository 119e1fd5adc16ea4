"""Schedules of trainings, moved along with their length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from mmwsss.errors import UsageError

from .tool_configs import find_dicts

ITERATIONS = 'train_cfg.max_iters'
SCHEDULER_KEYS = ('begin', 'end', 'milestones', 'T_max', 'step_size')
PHASE_KEYS = ('warmup_iters', 'switch_iters')


def scaled(value: Any, old: int, new: int) -> Any:
    """Move a milestone of a schedule, or several, to where it is in one of another length.

    Args:
        value: An iteration, or a list of some; anything else stays.
        old: Iterations of the schedule.
        new: Iterations of the other one.

    Example:
        >>> scaled(50, 1000, 200), scaled(1001, 1000, 200), scaled([0, 600], 1000, 200)
        (10, 201, [0, 120])
    """
    if isinstance(value, (list, tuple)):
        return [scaled(item, old, new) for item in value]
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return value
    if value >= old:
        # PolyLR takes the length and one more
        return value - old + new
    # a warm-up of a single iteration would never leave its first rate
    return max(min(2, new), round(value * new / old))


def _moving_parts(cfg: Config) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
    """Iterate over what counts iterations: dotted name, entry, and its keys that do."""
    for name, entry in find_dicts(cfg.get('param_scheduler'), 'type', 'param_scheduler'):
        if not entry.get('by_epoch', True):
            yield name, entry, SCHEDULER_KEYS
    for name, entry in find_dicts(cfg.get('custom_hooks'), 'until', 'custom_hooks'):
        if entry.get('type') == 'FreezeHook':
            yield name, entry, ('until',)
    yield 'model.train_cfg', cfg.model.get('train_cfg') or {}, PHASE_KEYS
    checkpoint = cfg.get('default_hooks', {}).get('checkpoint') or {}
    if not checkpoint.get('by_epoch', True):
        yield 'default_hooks.checkpoint', checkpoint, ('interval',)


def schedule_options(cfg: Config, iters: int) -> dict[str, Any]:
    """Return the overrides by which a training has another length, and its schedule with it.

    Learning rates, freezing, phases of the model and checkpoints move to the same share of the
    training.

    Args:
        cfg: Config of a training that counts iterations; it is not changed.
        iters: Of the training.

    Returns:
        Overrides by dotted key.

    Raises:
        UsageError: ``iters`` is no positive number.

    Example:
        >>> train_cfg, model = dict(max_iters=500), dict(train_cfg=dict(warmup_iters=100))
        >>> schedule_options(Config(dict(train_cfg=train_cfg, model=model)), 250)
        {'train_cfg.max_iters': 250, 'model.train_cfg.warmup_iters': 50}
    """
    if not isinstance(iters, int) or iters < 1:
        raise UsageError(f'{ITERATIONS} must be a whole number and at least 1, got {iters!r}.')
    old = cfg.train_cfg.max_iters
    options = {ITERATIONS: iters}
    for name, entry, keys in _moving_parts(cfg):
        options.update(
            {f'{name}.{key}': scaled(entry[key], old, iters) for key in keys if key in entry}
        )
    return options
