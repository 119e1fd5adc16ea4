"""Background scores that need no masks: Otsu's thresholds of the scores of all maps."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .cam_files import read_cam_file

BINS = 512
# name of the rule: groups that it splits the pixels into
RULES = {'otsu': 2, 'multi-otsu': 3}


def otsu_thresholds(counts: NDArray[np.integer], groups: int = 2) -> tuple[float, ...]:
    """Return the values that split a histogram into groups which differ most.

    Sources: Otsu, IEEE Transactions on Systems, Man, and Cybernetics 1979; for three groups
    Liao et al., Journal of Information Science and Engineering 2001

    Args:
        counts: Histogram of values in [0, 1], bins of equal width.
        groups: 2 or 3.

    Returns:
        The upper edges of all groups but the last, ascending; 0.5 each where fewer bins than
        groups hold values.

    Example:
        >>> otsu_thresholds(np.array([5, 5, 0, 0, 0, 0, 4, 6, 0, 0]))
        (0.2,)
        >>> otsu_thresholds(np.array([5, 5, 0, 0, 7, 0, 0, 0, 4, 6]), groups=3)
        (0.2, 0.5)
    """
    bins = len(counts)
    if np.count_nonzero(counts) < groups:
        return (0.5,) * (groups - 1)
    weights = np.concatenate([[0], counts.cumsum()])
    sums = np.concatenate([[0.0], (counts * (np.arange(bins) + 0.5)).cumsum()])
    # each group adds its squared sum over its weight, here for all pairs of edges
    weight = weights[None] - weights[:, None]
    total = sums[None] - sums[:, None]
    spread = np.divide(total**2, weight, out=np.zeros_like(total), where=weight > 0)
    spread[np.tril_indices(bins + 1)] = 0
    if groups == 2:
        return (float((spread[0] + spread[:, -1])[1:-1].argmax() + 1) / bins,)
    both = (spread[0][:, None] + spread + spread[:, -1])[1:-1, 1:-1]
    both[np.tril_indices(bins - 1)] = -1
    low, high = np.unravel_index(both.argmax(), both.shape)
    return float(low + 1) / bins, float(high + 1) / bins


def automatic_background_score(
    paths: Iterable[str | os.PathLike[str]], rule: str = 'otsu'
) -> float:
    """Return the background score that the scores of maps suggest.

    Each pixel counts by the largest of its scores. No mask is needed; pixels of images without
    any class are left out, since they are background at any score.

    Args:
        paths: Files of maps.
        rule: ``otsu`` splits the pixels into background and objects. ``multi-otsu`` splits them
            into three groups, of which the highest are objects: it suits maps that pixel
            correlation has smoothed, where what surrounds an object has scores of its own.

    Raises:
        CAMFileError: one is none.
    """
    counts = np.zeros(BINS, np.int64)
    for path in paths:
        keys, cams = read_cam_file(path)
        if len(keys):
            best = cams.max(axis=0).astype(np.float32).clip(0, 1)
            counts += np.histogram(best, bins=BINS, range=(0, 1))[0]
    return round(otsu_thresholds(counts, RULES[rule])[-1], 3)
