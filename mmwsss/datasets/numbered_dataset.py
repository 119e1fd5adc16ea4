"""Base of data sets that heed the place of a sample in the training."""

from __future__ import annotations

from mmseg.datasets import BaseSegDataset

from mmwsss.utils.seeding import AUGMENTATION, seed_random_numbers

from .samplers import NumberedIndex


class NumberedDataset(BaseSegDataset):
    """MMSeg's ``BaseSegDataset`` for numbered samplers."""

    def __getitem__(self, idx: int) -> dict:
        """Return a sample, augmented by its number in the training, where it has one.

        Which process loads it, and what that has loaded before, does not matter then: neither the
        number of workers nor stopping and resuming does.

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
