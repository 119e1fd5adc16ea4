"""Endless sampler whose indices know their place in the training."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mmengine.dataset import InfiniteSampler
from mmseg.registry import DATA_SAMPLERS

from .numbered_index import NumberedIndex


@DATA_SAMPLERS.register_module()
class NumberedInfiniteSampler(InfiniteSampler):
    """MMEngine's ``InfiniteSampler``, whose indices carry the place of the sample in the training.

    The data sets of this package draw the augmentation of a sample from it, so that neither the
    number of workers nor stopping and resuming changes what a network sees. Arguments and order
    are those of ``InfiniteSampler``.
    """

    done = 0  # samples of this process

    def go_on_from(self, iteration: int, batches: int, batch_size: int) -> None:
        """Mark the samples of the iterations that are done.

        Args:
            iteration: The first that is not.
            batches: Not used: there are no epochs.
            batch_size: Of this process.
        """
        self.done = iteration * batch_size

    def _indices_of_rank(self) -> Iterator[NumberedIndex]:
        numbered = islice(enumerate(self._infinite_indices()), self.rank, None, self.world_size)
        for i, (position, index) in enumerate(numbered):
            yield NumberedIndex(index, self.seed, position, i < self.done)
