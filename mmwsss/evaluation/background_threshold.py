"""A background score that needs no masks: Otsu's threshold of the scores of all maps."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .cam_files import read_cam_file

BINS = 512


def otsu_threshold(counts: NDArray[np.integer]) -> float:
    """Return the value that splits a histogram into two classes which differ most.

    Source: Otsu, IEEE Transactions on Systems, Man, and Cybernetics 1979

    Args:
        counts: Histogram of values in [0, 1], bins of equal width.

    Returns:
        The upper edge of the last bin of the lower class; 0.5 where all values share one bin.

    Example:
        >>> otsu_threshold(np.array([5, 5, 0, 0, 0, 0, 4, 6, 0, 0]))
        0.2
    """
    total = counts.sum()
    centres = (np.arange(len(counts)) + 0.5) / len(counts)
    below = counts.cumsum() / max(total, 1)
    means = (counts * centres).cumsum() / max(total, 1)
    inside = (below > 0) & (below < 1)
    if not inside.any():
        return 0.5
    spread = np.zeros(len(counts))
    share, mean = below[inside], means[inside]
    spread[inside] = (means[-1] * share - mean) ** 2 / (share * (1 - share))
    return float(spread.argmax() + 1) / len(counts)


def automatic_background_score(paths: Iterable[str | os.PathLike[str]]) -> float:
    """Return the background score that splits the pixels of maps into two groups.

    Each pixel counts by the largest of its scores. No mask is needed; pixels of images without
    any class are left out, since they are background at any score.

    Args:
        paths: Files of maps.

    Raises:
        CAMFileError: one is none.
    """
    counts = np.zeros(BINS, np.int64)
    for path in paths:
        keys, cams = read_cam_file(path)
        if len(keys):
            best = cams.max(axis=0).astype(np.float32).clip(0, 1)
            counts += np.histogram(best, bins=BINS, range=(0, 1))[0]
    return round(otsu_threshold(counts), 3)
