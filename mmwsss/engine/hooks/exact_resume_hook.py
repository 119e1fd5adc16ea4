"""Hook that lets a training that was stopped go on as if it had not been."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS

from mmwsss.datasets.numbered import NumberedDefaultSampler, NumberedInfiniteSampler
from mmwsss.utils.seeding import MODEL, seed_random_numbers

from ..launch import UsageError


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Make what a model draws depend on the seed and the iteration alone.

    So no state of generators has to be saved, and what building the model, loading weights or a
    validation drew does not matter. Data sets do the same for augmentation where the sampler is a
    numbered one; the images of iterations that are done are then not loaded again. Processes draw
    different numbers where ``randomness`` has ``diff_rank_seed``.
    """

    priority = 'VERY_HIGH'  # before other hooks draw

    def before_train(self, runner: Runner) -> None:
        """Tell the sampler where the training goes on.

        Args:
            runner: The runner.

        Raises:
            UsageError: the data set is smaller than a batch, so that an epoch has none.
        """
        loop = runner.train_loop
        loader, sampler = loop.dataloader, loop.dataloader.sampler
        if isinstance(sampler, NumberedDefaultSampler) and not len(loader):
            raise UsageError(
                f'There are {len(loader.dataset)} images to train on, fewer than a batch of '
                f'{loader.batch_size} in each of {sampler.world_size} processes: take a smaller '
                'train_dataloader.batch_size, or more images.'
            )
        numbered = isinstance(sampler, (NumberedDefaultSampler, NumberedInfiniteSampler))
        # a loop of epochs begins one anew, and fast_forward_on_resume all of them
        advances = isinstance(loop, IterBasedTrainLoop) and not getattr(
            loop, 'fast_forward_on_resume', False
        )
        if numbered and advances:
            sampler.go_on_from(loop.iter, len(loader), loader.batch_size)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed Python's, NumPy's and PyTorch's generators.

        Args:
            runner: The runner.
            batch_idx: Not used: it starts again in each epoch.
            data_batch: Not used.
        """
        seed_random_numbers(runner.seed, MODEL, runner.iter)
