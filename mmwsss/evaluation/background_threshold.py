"""Background scores without ground truth: Otsu's thresholds of the scores of all maps."""

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
    """Return the threshold that best separates a histogram into two classes.

    Source: Otsu, IEEE Transactions on Systems, Man, and Cybernetics 1979

    Args:
        counts: Number of occurrences of each value.
        values: Increasing values.

    Returns:
        The mean of the largest value of the lower class and the next one; 0.5 if only one value
        occurs.

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
    """Return the upper of the two thresholds that best separate a histogram into three classes.

    Source: Liao et al., Journal of Information Science and Engineering 2001

    Args:
        counts: Histogram of values in [0, 1] with bins of equal width.

    Returns:
        The upper edge of the last bin of the middle class; 0.5 if fewer than three bins hold
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
    """Estimate a background score from the scores of maps.

    Uses the largest score of each pixel in half precision, so files in float16 and float32 give the
    same result. Needs no masks. Images without classes are skipped, because their pixels are
    background at any score.

    Args:
        paths: Files of maps.
        rule: ``otsu`` separates the pixels into background and objects. ``multi-otsu`` separates
            them into three classes, the highest of which are objects; use it for maps smoothed by
            pixel correlation, in which the surroundings of objects have intermediate scores.

    Raises:
        CAMFileError: a file is not a valid file of maps.
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
