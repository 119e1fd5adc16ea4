"""Reader of image-level labels in a CSV file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from .common import LabelFileError, LabelTable, read_text, text_lines

COLUMNS = ('image', 'labels')
# of tables with a column for each class, 1 where an image shows it
IMAGE_COLUMNS = (
    *('image', 'images', 'filename', 'file_name', 'file', 'name', 'path', 'img', 'id'),
    *('img_path', 'image_path', 'image_id', 'image_name'),
)
NO_CLASSES = ('label', 'labels', 'class', 'classes', 'category', 'tag', 'tags', 'target', 'split')
BITS = {'0': False, '1': True, '0.0': False, '1.0': True, 'false': False, 'true': True, '': False}


def _header(path: Path, text: str) -> tuple[str, list[str]]:
    """Return the delimiter and the column names."""
    lines = [line for line in text_lines(text) if line.strip()][:2]
    first = lines[0] if lines else ''
    for delimiter in ',;\t':
        fields = [field.strip().strip('"').lower() for field in first.split(delimiter)]
        if set(COLUMNS) <= set(fields):
            return delimiter, fields
        if _is_one_hot(fields, lines[1:], delimiter):
            return delimiter, ['image', *_fields(first, delimiter)[1:]]
    raise LabelFileError(
        f'{path}, line 1: received {first[:60]!r} where the column names "image" and "labels" are '
        'expected: begin the file with the line "image,labels", or with "image" and a column for '
        'each class that holds 0 or 1.'
    )


def _fields(line: str, delimiter: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]


def _is_one_hot(header: list[str], rows: list[str], delimiter: str) -> bool:
    """Tell a table with a column for each class by its first row."""
    if len(header) < 2 or header[0] not in IMAGE_COLUMNS or set(header) & set(NO_CLASSES):
        return False
    values = [value.lower() for row in rows for value in _fields(row, delimiter)[1:]]
    return bool(values) and set(values) <= BITS.keys()


def _label_pattern(classes: Sequence[str]) -> re.Pattern[str]:
    """Match what may separate labels: ; | and comma, but for those within a class name."""
    characters = [c for c in ';|,' if not any(c in name for name in classes)]
    return re.compile('[' + re.escape(''.join(characters)) + ']' if characters else '$')


def csv_entries(
    path: Path, classes: Sequence[str]
) -> Iterator[tuple[str, list[str] | LabelFileError, str]]:
    """Yield image, labels and line of each row; for one with wrong fields the error as labels.

    Args:
        path: The file.
        classes: Class names, whose commas separate no labels.

    Raises:
        LabelFileError: it cannot be read as CSV.
    """
    text = read_text(path)
    delimiter, header = _header(path, text)
    separators = _label_pattern(classes)
    rows = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
    image_column = header.index('image')
    seen_header = False
    try:
        for row in rows:
            where = f'line {rows.line_num}'
            if not any(field.strip() for field in row):
                continue
            if not seen_header:
                seen_header = True
                continue
            try:
                _check_fields(row, header, path, where)
                if 'labels' in header:
                    found = separators.split(row[header.index('labels')])
                    names = [name.strip() for name in found if name.strip()]
                else:
                    names = _one_hot_names(row, header, path, where)
            except LabelFileError as error:
                yield row[0], error, where
                continue
            yield row[image_column], names, where
    except csv.Error as error:
        raise LabelFileError(
            f'{path}, line {rows.line_num}: not valid CSV ({error}): check the quotes.'
        ) from error


def _one_hot_names(row: list[str], header: list[str], path: Path, where: str) -> list[str]:
    """Return the names of the columns that hold 1."""
    pairs = [(name, value.strip()) for name, value in zip(header[1:], row[1:], strict=False)]
    for name, value in pairs:
        if value.lower() not in BITS:
            raise LabelFileError(
                f'{path}, {where}: column {name!r} holds {value[:40]!r} where 0 or 1 is expected: '
                'correct it.'
            )
    return [name for name, value in pairs if BITS[value.lower()]]


def read_csv_labels(
    path: Path, classes: Sequence[str], images: Collection[str] | None = None
) -> dict[str, tuple[int, ...]]:
    """Read a CSV file with the columns ``image`` and ``labels``; further columns are ignored.

    The delimiter (comma, semicolon or tab) is that of the first line. Within the field the
    labels are separated by ``;``, ``|`` or, where the delimiter is another or the field is
    quoted, a comma. An empty field means that the image shows none of the classes. In the place
    of ``labels`` there may be a column for each class, which holds 0 or 1.

    Args:
        path: The file, UTF-8 with or without byte order mark, any line ends.
        classes: Class names, background first.
        images: Paths or names of the images that rows may mean; all rows are read.

    Raises:
        LabelFileError: no header, a row with too few or too many fields, an unknown class, two
            rows for one image.
    """
    table = LabelTable(path, classes, images)
    for image, names, where in csv_entries(path, classes):
        if isinstance(names, LabelFileError):
            raise names
        table.add_names(image, names, where)
    return table.labels


def _check_fields(row: list[str], header: list[str], path: Path, where: str) -> None:
    """Refuse a row whose number of fields is not that of the header."""
    if len(row) < len(header) or any(field.strip() for field in row[len(header) :]):
        raise LabelFileError(
            f'{path}, {where}: {len(row)} fields where the header has {len(header)}: separate '
            'the labels of an image by ";" and keep the delimiter of an empty field.'
        )
