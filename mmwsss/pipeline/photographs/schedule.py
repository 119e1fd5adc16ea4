"""Schedules of trainings, changed for another number of images."""

from __future__ import annotations

from mmengine.config import Config
from mmseg.registry import DATASETS

from mmwsss.errors import UsageError

from ..schedules import schedule_options

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
    if 'schedule_images' in cfg:
        return cfg.schedule_images
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


def set_schedule(cfg: Config, num_images: int, iters: int | None = None) -> None:
    """Let a training see each image as often as that of the config does, if not more often.

    Args:
        cfg: Config, changed in place: batch, iterations, schedules, freezing, phases of the model
            and checkpoints.
        num_images: Number of images.
        iters: Iterations in place of as many epochs.

    Raises:
        UsageError: the training is none of iterations, their number is no positive one, or see
            :func:`template_images`.
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
    loader.batch_size = batch
    # batches go on where a round through few images ends
    loader.sampler = dict(type='NumberedInfiniteSampler', shuffle=True)
    cfg.merge_from_dict(schedule_options(cfg, new))
    # the variable of the file that the others were made of
    if 'max_iters' in cfg:
        cfg.max_iters = new
