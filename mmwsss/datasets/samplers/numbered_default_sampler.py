"""Sampler of epochs whose indices know their place in the training."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.dataset import DefaultSampler
from mmseg.registry import DATA_SAMPLERS

from .numbered_index import NumberedIndex


@DATA_SAMPLERS.register_module()
class NumberedDefaultSampler(DefaultSampler):
    """MMEngine's ``DefaultSampler``, whose indices carry the place of the sample in the training.

    See :class:`NumberedInfiniteSampler`. Arguments and order are those of ``DefaultSampler``.
    """

    done = (0, 0)  # epochs, and samples of this process in the next one

    def go_on_from(self, iteration: int, batches: int, batch_size: int) -> None:
        """Mark the samples of the iterations that are done.

        Args:
            iteration: The first that is not.
            batches: Of an epoch.
            batch_size: Of this process.
        """
        epoch, batch = divmod(iteration, batches)
        self.done = (epoch, batch * batch_size)

    def __iter__(self) -> Iterator[NumberedIndex]:
        """Iterate over the indices of an epoch."""
        first = self.epoch * self.total_size + self.rank
        for i, index in enumerate(super().__iter__()):
            position = first + i * self.world_size
            yield NumberedIndex(index, self.seed, position, (self.epoch, i) < self.done)
