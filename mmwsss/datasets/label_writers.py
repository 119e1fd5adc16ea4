"""Writers of image-level labels, in the formats that ``read_image_labels`` reads."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmwsss.utils import atomic_write, shown

from .image_labels import ImageLabels, LabelFileError


def _is_text(name: str) -> bool:
    return not any('\ud800' <= character <= '\udfff' for character in name)


def _json(labels: ImageLabels, names: Sequence[str]) -> bytes:
    lines = [
        # bytes that are no UTF-8 have to be escaped
        f'{json.dumps(image, ensure_ascii=not _is_text(image))}: '
        f'{json.dumps([names[k] for k in indices], ensure_ascii=False)}'
        for image, indices in labels.items()
    ]
    return ('{\n' + ',\n'.join(lines) + '\n}\n').encode()


def _csv(labels: ImageLabels, names: Sequence[str]) -> bytes:
    # the reader takes no separator that is part of a name
    separator = next((c for c in ';|,' if not any(c in name for name in names)), None)
    if separator is None:
        raise LabelFileError('class names hold ";", "|" and ",": write JSON instead of CSV.')
    if foreign := [image for image in labels if not _is_text(image)]:
        raise LabelFileError(
            f'image {shown(foreign[0])}: its name is no UTF-8, which CSV files are: rename it, or '
            'write JSON.'
        )
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
