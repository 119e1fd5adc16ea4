"""Reader of the community's ``cls_labels.npy``, a dict of multi-hot vectors."""

from __future__ import annotations

import re
import reprlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmwsss.utils import short_list

from ..image_names import ImageNames
from .common import LabelEntry, Report, entry_error, parsed
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


def _shown(vector: Any, classes: Sequence[str], place: str) -> list[str]:
    """Return the classes where a multi-hot vector over them is 1."""
    plain = isinstance(vector, (list, tuple)) and all(
        isinstance(value, (bool, int, float, type(None))) for value in vector
    )
    try:
        if not plain and not isinstance(vector, np.ndarray):
            # lists that hold each other may be far larger than their file
            raise TypeError
        values = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        text = f'received a {type(vector).__name__} where a multi-hot vector is expected.'
        raise entry_error(text, place) from error
    if values.shape != (len(classes),):
        raise entry_error(
            f'a vector of shape {values.shape} where ({len(classes)},) is expected, one value a '
            'foreground class',
            place,
            advice='use the label file of this data set.',
        )
    if not np.isin(values, (0, 1)).all():
        text = 'received values other than 0 and 1 in a multi-hot vector'
        raise entry_error(text, place, advice='give labels, not scores.')
    return [classes[k] for k in np.flatnonzero(values).tolist()]


def _image(key: Any, codes: Mapping[int | None, list[str]], place: str) -> str:
    """Return the name of the image that a key means."""
    if isinstance(key, str):
        return key
    if not isinstance(key, int) or isinstance(key, bool) or key < 0:
        kind = type(key).__name__
        text = f'received a {kind} as a key where the name of an image is expected.'
        raise entry_error(text, place)
    meant = codes.get(key) or [_decode(key)]
    if len(meant) > 1:
        text = f'may mean the images {short_list(meant)}'
        advice = 'make the file with the names of the images as keys.'
        raise entry_error(text, place, advice=advice)
    return meant[0]


def npy_entries(
    path: Path, classes: Sequence[str], images: Sequence[str] | None, report: Report
) -> Iterator[LabelEntry]:
    """Read a dict of multi-hot vectors over the foreground classes, running nothing in it.

    Keys are image names, or the numbers that some files use instead: 2007000032 for
    ``2007_000032``, 9 for ``COCO_train2014_000000000009``.

    Args:
        path: The ``.npy`` file.
        classes: Class names, background first.
        images: Paths or names of the images that keys may mean; without them a number of 10
            digits becomes a VOC name and any other one of 12 digits.
        report: Gets an error for a key that is neither text nor number, or a vector that is not
            multi-hot over the classes.

    Raises:
        LabelFileError: see :func:`~.safe_npy.load_npy_dict`.
    """
    codes: dict[int | None, list[str]] = defaultdict(list)
    for name in ImageNames(images or ()).of.values():
        codes[_code(name)].append(name)

    def parse(numbered: tuple[int, tuple[Any, Any]]) -> LabelEntry:
        number, (key, vector) = numbered
        where = f'entry {number} ({reprlib.repr(key)})'
        place = f'{path}, {where}'
        image, names = _image(key, codes, place), _shown(vector, classes[1:], place)
        return LabelEntry(image, dict.fromkeys(names, place), where)

    return parsed(enumerate(load_npy_dict(path).items(), start=1), parse, report)
