"""Reader of image-level labels in a CSV file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .common import LabelEntry, LabelFileError, Report, entry_error, parsed, read_text, text_lines

COLUMNS = ('image', 'labels')
# of tables with a column for each class, 1 where an image shows it
IMAGE_COLUMNS = (
    *('image', 'images', 'filename', 'file_name', 'file', 'name', 'path', 'img', 'id'),
    *('img_path', 'image_path', 'image_id', 'image_name'),
)
# of tables with a row for each class of an image
CLASS_COLUMNS = ('label', 'class', 'category', 'tag', 'class_name', 'label_name')
NO_CLASSES = (*CLASS_COLUMNS, 'labels', 'classes', 'tags', 'target', 'split')
BITS = {'0': False, '1': True, '0.0': False, '1.0': True, 'false': False, 'true': True, '': False}


def _header(path: Path, text: str) -> tuple[str, list[str]]:
    """Return the delimiter and the column names."""
    lines = [line for line in text_lines(text) if line.strip()][:2]
    first = lines[0] if lines else ''
    for delimiter in ',;\t':
        fields = [field.strip().strip('"').lower() for field in first.split(delimiter)]
        if set(COLUMNS) <= set(fields):
            return delimiter, fields
        image = next((name for name in IMAGE_COLUMNS if name in fields), None)
        label = [name for name in CLASS_COLUMNS if name in fields]
        if image and len(label) == 1:
            return delimiter, [{image: 'image', label[0]: 'label'}.get(f, f) for f in fields]
        if _is_one_hot(fields, lines[1:], delimiter):
            return delimiter, ['image', *_fields(first, delimiter)[1:]]
    raise LabelFileError(
        f'received {first[:60]!r} where the column names "image" and "labels" are expected',
        f'{path}, line 1',
        advice='begin the file with the line "image,labels", with "image,label" for a row for '
        'each class of an image, or with "image" and a column for each class that holds 0 or 1.',
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
    path: Path, classes: Sequence[str], images: Sequence[str] | None, report: Report
) -> Iterator[LabelEntry]:
    """Read a CSV file with the columns ``image`` and ``labels``; further columns are ignored.

    The delimiter (comma, semicolon or tab) is that of the first line. Within the field the
    labels are separated by ``;``, ``|`` or, where the delimiter is another or the field is
    quoted, a comma. An empty field means that the image shows none of the classes. In the place
    of ``labels`` there may be a column for each class, which holds 0 or 1, or a column ``label``
    (``class``, ``category`` or ``tag``), with a row for each class of an image.

    Args:
        path: The file, UTF-8 with or without byte order mark, any line ends.
        classes: Class names, whose commas separate no labels.
        images: Not used: all rows are read.
        report: Gets an error for a row with too few or too many fields.

    Raises:
        LabelFileError: it has no header, or cannot be read as CSV.
    """
    text = read_text(path)
    delimiter, header = _header(path, text)
    separators = _label_pattern(classes)
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
    rows = (row for row in reader if any(field.strip() for field in row))

    def parse(row: list[str]) -> LabelEntry:
        where = f'line {reader.line_num}'
        place = f'{path}, {where}'
        names = _row_names(row, header, separators, place)
        return LabelEntry(row[header.index('image')], dict.fromkeys(names, place), where)

    try:
        next(rows, None)
        entries = parsed(rows, parse, report)
        yield from _joined(entries) if 'label' in header else entries
    except csv.Error as error:
        place = f'{path}, line {reader.line_num}'
        text = f'not valid CSV ({error})'
        raise LabelFileError(text, place, advice='check the quotes.') from error


def _joined(entries: Iterable[LabelEntry]) -> Iterator[LabelEntry]:
    """Join the rows of each image."""
    found: dict[str, LabelEntry] = {}
    for entry in entries:
        first = found.setdefault(entry.image, entry)
        found[entry.image] = first._replace(classes={**entry.classes, **first.classes})
    yield from found.values()


def csv_format(path: Path) -> str:
    """Return in words which kind of table a file is.

    Args:
        path: The file.

    Raises:
        LabelFileError: it cannot be read, or has no header.
    """
    _, header = _header(path, read_text(path))
    if 'labels' in header:
        return 'a row for each image'
    row = 'a row for each class of an image'
    return row if 'label' in header else 'a column for each class'


def _row_names(
    row: list[str], header: list[str], separators: re.Pattern[str], place: str
) -> list[str]:
    """Return the class names of a row."""
    if len(row) < len(header) or any(field.strip() for field in row[len(header) :]):
        raise entry_error(
            f'{len(row)} fields where the header has {len(header)}',
            place,
            advice='separate the labels of an image by ";" and keep the delimiter of an empty '
            'field.',
        )
    column = next((name for name in ('labels', 'label') if name in header), None)
    if column:
        names = separators.split(row[header.index(column)])
        return [name.strip() for name in names if name.strip()]
    pairs = [(name, value.strip()) for name, value in zip(header[1:], row[1:], strict=False)]
    for name, value in pairs:
        if value.lower() not in BITS:
            text = f'column {name!r} holds {value[:40]!r} where 0 or 1 is expected'
            raise entry_error(text, place, advice='correct it.')
    return [name for name, value in pairs if BITS[value.lower()]]
