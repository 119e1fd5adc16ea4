"""Reader of the community's ``cls_labels.npy``, a dict of multi-hot vectors."""

from __future__ import annotations

import re
import reprlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmwsss.utils import short_list

from .common import LabelFileError, LabelTable
from .safe_npy import load_npy_dict

_VOC_NAME = re.compile(r'(\d{4})_(\d{6})')


def _code(name: str) -> int | None:
    """Return the number by which some files call an image: 2007_000032 is 2007000032."""
    voc = _VOC_NAME.fullmatch(name)
    if voc:
        return int(voc[1] + voc[2])
    digits = re.search(r'(\d{1,18})$', name)
    return int(digits[1]) if digits else None


def _decode(code: int) -> str:
    """Return the name of an image for its number where no list of images tells it."""
    text = str(code)
    return f'{text[:4]}_{text[4:]}' if len(text) == 10 else f'{code:012d}'


def _indices(vector: Any, num_foreground: int, where: str) -> list[int]:
    """Return where a multi-hot vector is 1."""
    plain = isinstance(vector, (list, tuple)) and all(
        isinstance(value, (bool, int, float, type(None))) for value in vector
    )
    try:
        if not plain and not isinstance(vector, np.ndarray):
            # lists that hold each other may be far larger than their file
            raise TypeError
        values = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise LabelFileError(
            f'{where}: received a {type(vector).__name__} where a multi-hot vector is expected.'
        ) from error
    if values.shape != (num_foreground,):
        raise LabelFileError(
            f'{where}: a vector of shape {values.shape} where ({num_foreground},) is expected, '
            'one value a foreground class: use the label file of this data set.'
        )
    if not np.isin(values, (0, 1)).all():
        raise LabelFileError(
            f'{where}: received values other than 0 and 1 in a multi-hot vector: give labels, not '
            'scores.'
        )
    return np.flatnonzero(values).tolist()


def read_npy_labels(
    path: Path, classes: Sequence[str], images: Collection[str] | None = None
) -> dict[str, tuple[int, ...]]:
    """Read a dict of multi-hot vectors over the foreground classes, running nothing in it.

    Keys are image names, or the numbers that some files use instead: 2007000032 for
    ``2007_000032``, 9 for ``COCO_train2014_000000000009``.

    Args:
        path: The ``.npy`` file.
        classes: Class names, background first.
        images: Paths or names of the images that keys may mean; without them a number of 10
            digits becomes a VOC name and any other one of 12 digits.

    Raises:
        LabelFileError: see :func:`~.safe_npy.load_npy_dict`; a key is neither text nor number,
            a vector is not multi-hot over the classes.
    """
    table = LabelTable(path, classes, images)
    codes: dict[int | None, list[str]] = defaultdict(list)
    for name in table.images.of.values():
        codes[_code(name)].append(name)
    for number, (key, vector) in enumerate(load_npy_dict(path).items(), start=1):
        where = f'entry {number} ({reprlib.repr(key)})'
        if isinstance(key, int) and not isinstance(key, bool) and key >= 0:
            meant = codes.get(key) or [_decode(key)]
            if len(meant) > 1:
                raise LabelFileError(
                    f'{path}, {where}: may mean the images {short_list(meant)}: make the file '
                    'with the names of the images as keys.'
                )
            name = meant[0]
        elif isinstance(key, str):
            name = key
        else:
            raise LabelFileError(
                f'{path}, {where}: received a {type(key).__name__} as a key where the name of an '
                'image is expected.'
            )
        table.add(name, _indices(vector, len(table.foreground), f'{path}, {where}'), where)
    return table.labels
