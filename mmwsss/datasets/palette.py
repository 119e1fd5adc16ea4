"""The colours in which PASCAL VOC and its followers paint class indices."""

from __future__ import annotations


def voc_palette(num_classes: int) -> list[list[int]]:
    """Return the VOC colours of the first classes, the background black.

    Source: ``VOClabelcolormap.m`` of the PASCAL VOC development kit.

    Args:
        num_classes: Number of colours, at most 256, the background included.

    Example:
        >>> voc_palette(3)
        [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    """
    palette = []
    for index in range(num_classes):
        color = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                color[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
        palette.append(color)
    return palette
