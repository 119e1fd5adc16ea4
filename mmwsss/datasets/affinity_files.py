"""Affinity labels of one image as a file, in the two styles that there are."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmwsss.utils import FileProblemError, atomic_write
from mmwsss.utils.arrays import read_arrays

VERSION = 1
SUFFIXES = dict(psa='.npz', irn='.png')
LEVELS = 255


class AffinityFileError(FileProblemError):
    """A file that does not hold affinity labels as it should; the text names the file."""


class AffinityScores(NamedTuple):
    """Scores of background and classes with a much and with a little favoured background.

    Levels 0 to 255 stand for probabilities 0 to 1.

    Shapes:
        keys: ``(n,)`` int64, foreground indices of the classes.
        low, high: ``(n + 1, H, W)`` uint8, background first.
    """

    keys: NDArray[np.int64]
    low: NDArray[np.uint8]
    high: NDArray[np.uint8]


def write_affinity_scores(path: str | os.PathLike[str], scores: AffinityScores) -> None:
    """Write scores as a compressed npz file, whole or not at all.

    Args:
        path: File to write.
        scores: The scores.

    Raises:
        AffinityFileError: shapes or types are not those of :class:`AffinityScores`.
    """
    _check(path, scores)
    with atomic_write(path) as file:
        np.savez_compressed(file, **scores._asdict(), version=np.int64(VERSION))


def read_affinity_scores(
    path: str | os.PathLike[str], num_classes: int | None = None
) -> AffinityScores:
    """Read and check a file of scores; nothing in it is executed.

    Args:
        path: File that :func:`write_affinity_scores` wrote.
        num_classes: Classes with background, to check the keys against.

    Raises:
        FileNotFoundError: there is no such file.
        AffinityFileError: it is truncated, of another kind or version, or its contents do not
            fit together.
    """
    try:
        version, *arrays = read_arrays(path, ('version', 'keys', 'low', 'high'))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise AffinityFileError(
            f'{path} is damaged or holds no affinity scores ({error}): delete it and run '
            'tools/make_affinity_labels.py again.'
        ) from error
    scores = AffinityScores(*arrays)
    if version.shape != () or version != VERSION:
        raise AffinityFileError(
            f'{path} has version {version}, this program reads version {VERSION}: make it again '
            'with tools/make_affinity_labels.py --overwrite.'
        )
    _check(path, scores, num_classes)
    return scores


def _check(
    path: str | os.PathLike[str], scores: AffinityScores, num_classes: int | None = None
) -> None:
    keys, low, high = scores
    shape = (len(keys) + 1, *low.shape[1:])
    if keys.ndim != 1 or low.ndim != 3 or low.shape != shape or high.shape != shape:
        raise AffinityFileError(
            f'{path}: keys (n,) and both scores (n + 1, H, W) do not fit together: got '
            f'{keys.shape}, {low.shape} and {high.shape}.'
        )
    if (keys.dtype, low.dtype, high.dtype) != (np.int64, np.uint8, np.uint8):
        raise AffinityFileError(
            f'{path}: keys must be int64 and scores uint8, got {keys.dtype}, {low.dtype} and '
            f'{high.dtype}.'
        )
    if num_classes is None or not len(keys):
        return
    if not 0 <= keys.min() <= keys.max() < num_classes - 1:
        raise AffinityFileError(
            f'{path}: keys {keys.tolist()} must lie in 0 to {num_classes - 2}, for the '
            f'{num_classes - 1} foreground classes: make the labels of this data set.'
        )
