"""Background scores that need no masks: Otsu's thresholds of the scores of all maps."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .cam_files import read_cam_file

# every number of half precision from 0 to 1, the finest that files may hold, by its bits
VALUES = np.arange(int(np.float16(1).view(np.uint16)) + 1, dtype=np.uint16).view(np.float16)
BINS = 512
OTSU, MULTI_OTSU = RULES = ('otsu', 'multi-otsu')


def otsu_threshold(counts: NDArray[np.integer], values: NDArray[np.floating]) -> float:
    """Return the value that splits a histogram into two classes which differ most.

    Source: Otsu, IEEE Transactions on Systems, Man, and Cybernetics 1979

    Args:
        counts: How often each value occurs.
        values: Increasing.

    Returns:
        The middle between the largest value of the lower class and the next one; 0.5 where all
        that occur are one.

    Shapes:
        counts, values: ``(B,)``.

    Example:
        >>> otsu_threshold(np.array([5, 5, 4, 6]), np.array([0.0, 0.25, 0.75, 1.0]))
        0.5
    """
    values = values.astype(np.float64)
    below = counts.cumsum() / max(counts.sum(), 1)
    means = (counts * values).cumsum() / max(counts.sum(), 1)
    inside = (below > 0) & (below < 1)
    if not inside.any():
        return 0.5
    spread = np.zeros(len(counts))
    share, mean = below[inside], means[inside]
    spread[inside] = (means[-1] * share - mean) ** 2 / (share * (1 - share))
    last = spread.argmax()
    return float(values[last : last + 2].mean())


def multi_otsu_threshold(counts: NDArray[np.number]) -> float:
    """Return the upper one of the two values that split a histogram into three different groups.

    Source: Liao et al., Journal of Information Science and Engineering 2001

    Args:
        counts: Histogram of values in [0, 1], bins of equal width.

    Returns:
        The upper edge of the last bin of the middle group; 0.5 where fewer than three bins hold
        values.

    Shapes:
        counts: ``(B,)``.

    Example:
        >>> multi_otsu_threshold(np.array([5, 5, 0, 0, 7, 0, 0, 0, 4, 6]))
        0.5
    """
    bins = len(counts)
    if np.count_nonzero(counts) < 3:
        return 0.5
    weights = np.concatenate([[0], counts.cumsum()])
    sums = np.concatenate([[0.0], (counts * (np.arange(bins) + 0.5)).cumsum()])
    # each group adds its squared sum over its weight, here for all pairs of edges
    weight = weights[None] - weights[:, None]
    total = sums[None] - sums[:, None]
    spread = np.divide(total**2, weight, out=np.zeros_like(total), where=weight > 0)
    both = (spread[0][:, None] + spread + spread[:, -1])[1:-1, 1:-1]
    both[np.tril_indices(bins - 1)] = -1
    return float(np.unravel_index(both.argmax(), both.shape)[1] + 1) / bins


def automatic_background_score(paths: Iterable[str | os.PathLike[str]], rule: str = OTSU) -> float:
    """Return the background score that the scores of maps suggest.

    Each pixel counts by the largest of its scores, in half precision: files in float32 give the
    same. No mask is needed; pixels of images without any class are left out, since they are
    background at any score.

    Args:
        paths: Files of maps.
        rule: ``otsu`` splits the pixels into background and objects. ``multi-otsu`` splits them
            into three groups, of which the highest are objects: it suits maps that pixel
            correlation has smoothed, where what surrounds an object has scores of its own.

    Raises:
        CAMFileError: one is none.
    """
    counts = np.zeros(len(VALUES), np.int64)
    for path in paths:
        keys, cams = read_cam_file(path)
        if len(keys):
            # abs: -0 has other bits than 0
            best = np.abs(cams.max(axis=0).clip(0, 1).astype(np.float16))
            counts += np.bincount(best.view(np.uint16).ravel(), minlength=len(VALUES))
    if rule == MULTI_OTSU:
        edges = np.linspace(0, 1, BINS + 1)
        counts = np.histogram(VALUES.astype(np.float64), bins=edges, weights=counts)[0]
        return round(multi_otsu_threshold(counts), 3)
    # as it is printed, and still between the same two numbers of half precision
    return float(f'{otsu_threshold(counts, VALUES):.5g}')
