"""What is wrong with a picture that Pillow does not decode, and what to do about it."""

from __future__ import annotations

import re

from PIL import Image, UnidentifiedImageError

_TEXT = re.compile(r'MAX_TEXT|text chunk|Decompressed data too large', re.IGNORECASE)


def decoding_problem(error: Exception, advice: str) -> tuple[str, str]:
    """Return what is wrong with a file, to be put behind its name, and what to do about it.

    Args:
        error: What Pillow raised.
        advice: What to do about a file that is damaged.

    Raises:
        MemoryError: that is what Pillow raised: nothing is wrong with the file.

    Example:
        >>> decoding_problem(OSError('image file is truncated'), 'fetch it again.')
        ('is truncated or no image (image file is truncated)', 'fetch it again.')
    """
    if isinstance(error, MemoryError):
        raise error
    if isinstance(error, Image.DecompressionBombError):
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        return (
            f'has more pixels than Pillow decodes, {limit:,} (twice Image.MAX_IMAGE_PIXELS)',
            'make it smaller, or cut it into parts.',
        )
    if isinstance(error, ValueError) and _TEXT.search(str(error)):
        return (
            'has more text in its metadata than Pillow reads (PngImagePlugin.MAX_TEXT_CHUNK and '
            'MAX_TEXT_MEMORY)',
            'save it again without metadata.',
        )
    reason = 'no format that Pillow knows' if isinstance(error, UnidentifiedImageError) else error
    return f'is truncated or no image ({reason})', advice


def turned_note(shape: tuple[int, ...], other: tuple[int, ...]) -> str:
    """Return a note where two sizes are those of a picture before and after it is turned.

    Args:
        shape: Height and width of a picture, turned upright by its EXIF data.
        other: Height and width of what belongs to it.

    Example:
        >>> turned_note((60, 40), (40, 60)), turned_note((60, 40), (60, 41))
        (' (the image may be turned by its EXIF data)', '')
    """
    turned = tuple(shape[:2]) == tuple(other[:2])[::-1] != tuple(other[:2])
    return ' (the image may be turned by its EXIF data)' if turned else ''
