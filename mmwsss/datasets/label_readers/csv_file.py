"""Reader of image-level labels in a CSV file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from .common import LabelFileError, LabelTable, read_text, text_lines

COLUMNS = ('image', 'labels')


def _header(path: Path, text: str) -> tuple[str, list[str]]:
    """Return the delimiter and the column names."""
    first = next((line for line in text_lines(text) if line.strip()), '')
    for delimiter in ',;\t':
        fields = [field.strip().strip('"').lower() for field in first.split(delimiter)]
        if set(COLUMNS) <= set(fields):
            return delimiter, fields
    raise LabelFileError(
        f'{path}, line 1: received {first[:60]!r} where the column names "image" and "labels" are '
        'expected: begin the file with the line "image,labels".'
    )


def _label_pattern(classes: Sequence[str]) -> re.Pattern[str]:
    """Match what may separate labels: ; | and comma, but for those within a class name."""
    characters = [c for c in ';|,' if not any(c in name for name in classes)]
    return re.compile('[' + re.escape(''.join(characters)) + ']' if characters else '$')


def read_csv_labels(
    path: Path, classes: Sequence[str], images: Collection[str] | None = None
) -> dict[str, tuple[int, ...]]:
    """Read a CSV file with the columns ``image`` and ``labels``; further columns are ignored.

    The delimiter (comma, semicolon or tab) is that of the first line. Within the field the
    labels are separated by ``;``, ``|`` or, where the delimiter is another or the field is
    quoted, a comma. An empty field means that the image shows none of the classes.

    Args:
        path: The file, UTF-8 with or without byte order mark, any line ends.
        classes: Class names, background first.
        images: Paths or names of the images that rows may mean; all rows are read.

    Raises:
        LabelFileError: no header, a row with too few or too many fields, an unknown class, two
            rows for one image.
    """
    text = read_text(path)
    delimiter, header = _header(path, text)
    image_column, label_column = (header.index(name) for name in COLUMNS)
    separators = _label_pattern(classes)
    table = LabelTable(path, classes, images)
    rows = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
    seen_header = False
    try:
        for row in rows:
            where = f'line {rows.line_num}'
            if not any(field.strip() for field in row):
                continue
            if not seen_header:
                seen_header = True
                continue
            _check_fields(row, header, path, where)
            names = (name.strip() for name in separators.split(row[label_column]))
            table.add_names(row[image_column], filter(None, names), where)
    except csv.Error as error:
        raise LabelFileError(
            f'{path}, line {rows.line_num}: not valid CSV ({error}): check the quotes.'
        ) from error
    return table.labels


def _check_fields(row: list[str], header: list[str], path: Path, where: str) -> None:
    """Refuse a row whose number of fields is not that of the header."""
    if len(row) < len(header) or any(field.strip() for field in row[len(header) :]):
        raise LabelFileError(
            f'{path}, {where}: {len(row)} fields where the header has {len(header)}: separate '
            'the labels of an image by ";" and keep the delimiter of an empty field.'
        )
