"""What the tags of a data set alone say about what can be learned from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np

from .image_labels import ImageLabels

# shares and numbers of images from which a class or a pair of classes is mentioned
NEARLY_ALL = 0.9
TOGETHER = 0.9
FEW = 20


def _matrix(names: Collection[str], labels: ImageLabels, num_classes: int) -> np.ndarray:
    """Return which image is tagged with which class, ``(N, K)`` integers."""
    tagged = np.zeros((len(names), num_classes), dtype=int)
    for row, name in zip(tagged, names, strict=True):
        row[list(labels.get(name, ()))] = 1
    return tagged


def frequent_classes(counts: np.ndarray, total: int, classes: Sequence[str]) -> list[str]:
    """Return the classes of nearly every image: nothing tells what they look like.

    Args:
        counts: Images of each class.
        total: Images.
        classes: Class names, background first.
    """
    # of a single image all classes are everywhere
    found = np.flatnonzero(counts >= NEARLY_ALL * total) if total > 1 else ()
    return [f'{classes[k + 1]} on {counts[k]:,} of {total:,}' for k in found]


def twin_classes(tagged: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return the pairs of classes that hardly ever occur without each other.

    Shares are those of the images with both among those with either.

    Args:
        tagged: Which image is tagged with which class, ``(N, K)`` integers.
        classes: Class names, background first.
    """
    both = tagged.T @ tagged
    counts = both.diagonal()
    either = counts[:, None] + counts - both
    found = (both >= TOGETHER * either) & (both > 1)
    return [
        f'{classes[i + 1]} and {classes[k + 1]}, {both[i, k]:,} of {either[i, k]:,}'
        for i, k in combinations(range(len(counts)), 2)
        if found[i, k]
    ]


def rare_classes(counts: np.ndarray, total: int, classes: Sequence[str]) -> list[str]:
    """Return the classes of few images, none in a data set that is small itself.

    Args:
        counts: Images of each class.
        total: Images.
        classes: Class names, background first.
    """
    found = np.flatnonzero((counts > 0) & (counts < FEW)) if total > FEW else ()
    return [f'{classes[k + 1]} on {counts[k]}' for k in found]


def tag_statistics(
    names: Collection[str], labels: ImageLabels, classes: Sequence[str]
) -> dict[str, list[str]]:
    """Return what makes classes hard to learn, by the kind of it.

    Args:
        names: Ids of the images.
        labels: The labels.
        classes: Class names, background first.

    Example:
        >>> labels = dict(a=(0, 1), b=(0, 1), c=())
        >>> tag_statistics('abc', labels, ('background', 'boat', 'water'))
        {'classes that occur together': ['boat and water, 2 of 2']}
    """
    tagged = _matrix(names, labels, len(classes) - 1)
    counts, total = tagged.sum(axis=0), len(names)
    # of a class that is everywhere, every other would be a twin
    others = np.where(counts < NEARLY_ALL * total, tagged, 0)
    found = {
        'class on nearly every image': frequent_classes(counts, total, classes),
        'classes that occur together': twin_classes(others, classes),
        'class with few images': rare_classes(counts, total, classes),
    }
    if total > FEW and tagged.any(axis=1).all():
        found['no image without tags'] = [f'each of {total:,} images has one']
    return {kind: texts for kind, texts in found.items() if texts}
