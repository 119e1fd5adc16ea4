"""Errors of networks and of memory that name the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mmwsss.utils import FileProblemError, lacks_memory, short_list, too_small

from .pictures import Picture


class PictureError(FileProblemError):
    """A picture that a model cannot take; the text names it."""


@contextmanager
def naming(pictures: Sequence[Picture]) -> Iterator[None]:
    """Name the pictures where a network cannot take them, or memory does not suffice.

    Args:
        pictures: What the block works on.

    Raises:
        PictureError: either is so.
    """
    try:
        yield
    except (RuntimeError, ValueError, MemoryError, OSError) as error:
        names = short_list([picture.path or picture.name for picture in pictures], 3)
        if lacks_memory(error):
            raise PictureError(
                f'The memory does not suffice for {names}: make pictures smaller (add '
                "dict(type='LimitLongSide', max_size=1000) after the loading in the test "
                'pipeline), or take a smaller batch size, or no test-time augmentation; what is '
                'finished stays.'
            ) from error
        if sentence := too_small(error, names):
            raise PictureError(sentence) from error
        raise
