"""Index of a sample that knows its place in the training."""

from __future__ import annotations


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
