"""Sizes of pictures."""

from __future__ import annotations


def limited_size(size: tuple[int, int], max_size: int) -> tuple[int, int]:
    """Return width and height with the longer one at most of a length, in proportion.

    Args:
        size: Width and height.
        max_size: Largest length of the longer side.

    Example:
        >>> limited_size((4000, 3000), 500), limited_size((400, 300), 500)
        ((500, 375), (400, 300))
    """
    width, height = size
    if max(size) <= max_size:
        return width, height
    factor = max_size / max(size)
    return max(round(width * factor), 1), max(round(height * factor), 1)
