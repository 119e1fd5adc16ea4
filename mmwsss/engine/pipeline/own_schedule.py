"""Schedules of trainings, changed for another number of images."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from mmwsss.engine.launch import UsageError

# a network that was trained on a thousand photographs for two thousand steps has learned
# something; fewer photographs are seen more often
MIN_ITERS = 2000
# images of a split that a config was made for, where they need not be there to be counted
IMAGES = {
    ('ImageLevelVOCDataset', 'train_aug'): 10582,
    ('ImageLevelCOCODataset', 'annotations/instances_train2014.json'): 82081,
    ('EmblemsDataset', 'train'): 2000,
}


def template_images(cfg: Config) -> int:
    """Return how many images the data set has that the schedule of a config was made for.

    Args:
        cfg: Config of a training.

    Raises:
        UsageError: the data set is not there and its size is not known.
    """
    dataset = cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    known = IMAGES.get((dataset.type, dataset.get('ann_file', 'train')))
    if known is not None:
        return known
    try:
        return len(DATASETS.build({**dataset, 'pipeline': []}))
    except (OSError, ValueError) as error:
        raise UsageError(
            f'{cfg.filename}: how many images its schedule is made for is not known, since they '
            f'cannot be read ({error}): get them, or name another config.'
        ) from error


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
    if isinstance(value, bool) or not isinstance(value, int) or value == 0:
        return value
    if value >= old:
        # PolyLR takes the length and one more
        return value - old + new
    return max(1, round(value * new / old))


def _move_milestones(cfg: Config, old: int, new: int) -> None:
    """Move schedules, hooks, phases of the model and checkpoints along with the length."""
    for scheduler in cfg.param_scheduler:
        if not scheduler.get('by_epoch', True):
            for key in ('begin', 'end', 'milestones', 'T_max', 'step_size'):
                if key in scheduler:
                    scheduler[key] = scaled(scheduler[key], old, new)
    for hook in cfg.get('custom_hooks') or []:
        if hook['type'] == 'FreezeHook':
            hook['until'] = scaled(hook['until'], old, new)
    phases = cfg.model.get('train_cfg') or {}
    for key in ('warmup_iters', 'switch_iters'):
        if key in phases:
            phases[key] = scaled(phases[key], old, new)
    checkpoint = cfg.default_hooks.get('checkpoint')
    if checkpoint and not checkpoint.get('by_epoch', True):
        checkpoint.interval = scaled(checkpoint.interval, old, new)


def set_schedule(cfg: Config, num_images: int, iters: int | None = None) -> None:
    """Let a training see each image as often as that of the config does, if not more often.

    Args:
        cfg: Config, changed in place: batch, iterations, schedules, freezing, phases of the model
            and checkpoints.
        num_images: Number of images.
        iters: Iterations in place of as many epochs.

    Raises:
        UsageError: the training is none of iterations, or see :func:`template_images`.
    """
    loader, loop = cfg.train_dataloader, cfg.train_cfg
    if 'max_iters' not in loop:
        raise UsageError(
            f'{cfg.filename}: train_cfg has no max_iters; only trainings that count iterations '
            '(IterBasedTrainLoop) can be changed for other photographs.'
        )
    old, batch = loop.max_iters, min(loader.batch_size, num_images)
    new = iters
    if new is None:
        epochs = old * loader.batch_size / template_images(cfg)
        new = max(round(epochs * num_images / batch), min(old, MIN_ITERS))
    loader.batch_size, loop.max_iters = batch, new
    # batches go on where a round through few images ends
    loader.sampler = dict(type='NumberedInfiniteSampler', shuffle=True)
    if 'max_iters' in cfg:
        cfg.max_iters = new
    _move_milestones(cfg, old, new)
