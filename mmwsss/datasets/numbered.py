"""Numbered samples: augmentation depends on a sample's place in the training, not on its worker."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATA_SAMPLERS

from mmwsss.utils.seeding import AUGMENTATION, seed_random_numbers


class NumberedIndex(int):
    """Index of an image, with the number of the sample in the whole training.

    Args:
        index: Position of the image in the data set.
        seed: Of the sampler.
        position: Number of the sample, counted over all epochs and processes.
        done: Whether the training has used the sample before it was stopped.

    Example:
        >>> index = NumberedIndex(5, seed=0, position=17)
        >>> 'abcdef'[index], index.position
        ('f', 17)
    """

    seed: int
    position: int
    done: bool

    def __new__(cls, index: int, seed: int, position: int, done: bool = False) -> NumberedIndex:
        """Make the index."""
        number = super().__new__(cls, index)
        number.seed, number.position, number.done = seed, position, done
        return number

    def __reduce__(self) -> tuple:
        # how it travels to the processes that load images
        return NumberedIndex, (int(self), self.seed, self.position, self.done)


class NumberedDataset(BaseSegDataset):
    """MMSeg's ``BaseSegDataset``, whose augmentation is seeded by the index of a numbered sampler.

    So results depend neither on the number of workers nor on stopping and resuming.
    """

    def __getitem__(self, idx: int) -> dict:
        """Return a sample, augmented by its number in the training, where it has one.

        Args:
            idx: Position of the image in the data set.

        Returns:
            The sample; nothing where the training has used it before it was stopped.
        """
        if isinstance(idx, NumberedIndex):
            if idx.done:
                return {}
            seed_random_numbers(idx.seed, AUGMENTATION, idx.position)
        return super().__getitem__(idx)


@DATA_SAMPLERS.register_module()
class NumberedDefaultSampler(DefaultSampler):
    """MMEngine's ``DefaultSampler``, whose indices carry the place of the sample in the training.

    Arguments and order are those of ``DefaultSampler``.
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


@DATA_SAMPLERS.register_module()
class NumberedInfiniteSampler(InfiniteSampler):
    """MMEngine's ``InfiniteSampler``, whose indices carry the place of the sample in the training.

    Arguments and order are those of ``InfiniteSampler``.
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
