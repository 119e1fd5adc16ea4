"""Hook that makes resumed trainings equal to uninterrupted ones."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS

from mmwsss.datasets.numbered import NumberedDefaultSampler, NumberedInfiniteSampler
from mmwsss.errors import UsageError
from mmwsss.utils.seeding import MODEL, seed_random_numbers


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Seed the random numbers of a model by the iteration.

    Checkpoints therefore need no state of random generators, and random numbers drawn during
    construction, loading or validation have no effect. With a numbered sampler, data sets seed
    their augmentation in the same way, and images of finished iterations are not loaded again.
    Processes get different random numbers if ``randomness`` has ``diff_rank_seed``.
    """

    priority = 'VERY_HIGH'  # before other hooks draw random numbers

    def before_train(self, runner: Runner) -> None:
        """Tell the sampler at which iteration the training resumes.

        Raises:
            UsageError: the data set is smaller than a batch, so an epoch has no iterations.
        """
        loop = runner.train_loop
        loader, sampler = loop.dataloader, loop.dataloader.sampler
        if isinstance(sampler, NumberedDefaultSampler) and not len(loader):
            raise UsageError(
                f'There are {len(loader.dataset)} images to train on, fewer than a batch of '
                f'{loader.batch_size} in each of {sampler.world_size} processes: use a smaller '
                'train_dataloader.batch_size, or more images.'
            )
        numbered = isinstance(sampler, (NumberedDefaultSampler, NumberedInfiniteSampler))
        # epoch-based loops restart the epoch, and fast_forward_on_resume replays the whole loader
        advances = isinstance(loop, IterBasedTrainLoop) and not getattr(
            loop, 'fast_forward_on_resume', False
        )
        if numbered and advances:
            sampler.go_on_from(loop.iter, len(loader), loader.batch_size)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the generators of Python, NumPy and PyTorch with the iteration."""
        seed_random_numbers(runner.seed, MODEL, runner.iter)
