"""Image sizes."""

from __future__ import annotations


def limited_size(size: tuple[int, int], max_size: int) -> tuple[int, int]:
    """Return (width, height) scaled down so that the longer side is at most ``max_size``.

    Example:
        >>> limited_size((4000, 3000), 500), limited_size((400, 300), 500)
        ((500, 375), (400, 300))
    """
    width, height = size
    if max(size) <= max_size:
        return width, height
    factor = max_size / max(size)
    return max(round(width * factor), 1), max(round(height * factor), 1)
