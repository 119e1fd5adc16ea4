"""Writers of image-level labels, in the formats that ``read_image_labels`` reads."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmwsss.utils import atomic_write

from .image_labels import ImageLabels, LabelFileError


def _json(labels: ImageLabels, names: Sequence[str]) -> bytes:
    lines = [
        f'{json.dumps(image, ensure_ascii=False)}: '
        f'{json.dumps([names[k] for k in indices], ensure_ascii=False)}'
        for image, indices in labels.items()
    ]
    return ('{\n' + ',\n'.join(lines) + '\n}\n').encode()


def _csv(labels: ImageLabels, names: Sequence[str]) -> bytes:
    # the reader takes no separator that is part of a name
    separator = next((c for c in ';|,' if not any(c in name for name in names)), None)
    if separator is None:
        raise LabelFileError('class names hold ";", "|" and ",": write JSON instead of CSV.')
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['image', 'labels'])
    for image, indices in labels.items():
        writer.writerow([image, separator.join(names[k] for k in indices)])
    return text.getvalue().encode()


def _npy(labels: ImageLabels, names: Sequence[str]) -> bytes:
    table = {}
    for image, indices in labels.items():
        table[image] = np.zeros(len(names), np.float32)
        table[image][list(indices)] = 1
    content = io.BytesIO()
    np.save(content, np.array(table, dtype=object), allow_pickle=True)
    return content.getvalue()


WRITERS: dict[str, Callable[[ImageLabels, Sequence[str]], bytes]] = {
    '.json': _json,
    '.csv': _csv,
    '.npy': _npy,
}


def write_image_labels(
    path: str | os.PathLike[str], labels: ImageLabels, classes: Sequence[str]
) -> None:
    """Write image-level labels: whole, or not at all.

    Args:
        path: ``.json`` (``{"image": ["dog"]}``), ``.csv`` (``image,labels``), or ``.npy``, the
            community's dict of multi-hot vectors.
        labels: Image id to foreground indices.
        classes: Class names, background first.

    Raises:
        LabelFileError: another extension, or names that cannot be told apart in a CSV file.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise LabelFileError(
            f'{path}: received a {path.suffix or "nameless"} file where {", ".join(WRITERS)} are '
            'expected: give the file to write one of these.'
        )
    content = WRITERS[path.suffix.lower()](labels, tuple(classes[1:]))
    with atomic_write(path) as file:
        file.write(content)
