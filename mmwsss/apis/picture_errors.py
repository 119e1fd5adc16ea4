"""Errors of networks and of memory that name the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mmwsss.utils import FileProblemError, lacks_memory, short_list

from .pictures import Picture

# what PyTorch says where a picture has fewer pixels than a kernel or a stride
_TOO_SMALL = re.compile(
    r"Kernel size can't be greater|output size is too small|should be greater than 0|"
    r'padding size should be less|non-empty 3D or 4D|must be greater than the size of',
    re.IGNORECASE,
)


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
        if isinstance(error, RuntimeError) and _TOO_SMALL.search(str(error)):
            raise PictureError(
                f'{names}: smaller than the network can take: leave out pictures with a side of '
                'less than 32 pixels, or make them larger.'
            ) from error
        raise
