"""All that is wrong with a source of image-level labels, where its reader stops at the first."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .folder_files import list_folder
from .image_labels import ImageLabels, LabelFileError, read_image_labels
from .image_names import ImageNames
from .label_readers import files_of_images, is_instances
from .label_readers.common import LabelTable, parse_json
from .label_readers.csv_file import csv_entries
from .label_readers.json_file import data_list_entries, is_data_list


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Args:
        kind: Heading that it belongs under.
        text: What it is; names the file and the entry.
    """

    kind: str
    text: str


# image, its labels, where
Entry = tuple[str, Any, str]


class _Pairs(dict):
    """An object of a JSON file that keeps keys which come twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _kind(error: LabelFileError) -> str:
    text = str(error)
    kinds = {'unknown class': 'unknown class', 'two entries': 'duplicate entry'}
    return next((kind for words, kind in kinds.items() if words in text), 'wrong entry')


def _finding(error: LabelFileError) -> Finding:
    # the list of all classes once an entry would hide what differs
    return Finding(_kind(error), str(error).split('; the ')[0])


def _json_entries(content: _Pairs) -> Iterator[Entry]:
    """Yield the entries of a mapping from images to class names."""
    for number, (image, names) in enumerate(content.pairs, start=1):
        yield image, names, f'entry {number} ({image!r})'


def _add_entries(entries: Iterable[Entry], table: LabelTable) -> Iterator[Finding]:
    """Add entries to a table and yield what is wrong with each."""
    for image, names, where in entries:
        if isinstance(names, LabelFileError):
            yield _finding(names)
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            text = f'{table.path}, {where}: {str(names)[:60]} is no list of class names'
            yield Finding('wrong entry', text)
            continue
        indices = []
        for name in names:
            try:
                indices.append(table.class_index(name, where))
            except LabelFileError as error:
                yield _finding(error)
        try:
            table.add(image, indices, where)
        except LabelFileError as error:
            yield _finding(error)


def _add_instances(content: dict, table: LabelTable) -> Iterator[Finding]:
    """Add the images of a COCO instances file to a table and yield what is wrong."""
    names = {item.get('id'): item.get('name') for item in content['categories']}
    used = Counter(item.get('category_id') for item in content['annotations'])
    indices = {}
    for key, count in used.items():
        try:
            where = f'category {key} with {count} annotations'
            indices[key] = table.class_index(str(names.get(key)), where)
        except LabelFileError as error:
            yield _finding(error)
    found: dict[Any, set[int]] = {item.get('id'): set() for item in content['images']}
    for number, item in enumerate(content['annotations'], start=1):
        if item.get('image_id') not in found:
            text = f'image_id {item.get("image_id")} is not among the images'
            yield Finding('wrong entry', f'{table.path}, annotation {number}: {text}')
        elif item.get('category_id') in indices:
            found[item['image_id']].add(indices[item['category_id']])
    for number, item in enumerate(content['images'], start=1):
        try:
            table.add(str(item.get('file_name', '')), found[item.get('id')], f'image {number}')
        except LabelFileError as error:
            yield _finding(error)


def _search_folder(
    path: Path, classes: Sequence[str], names: list[str], labels: ImageLabels
) -> Iterator[Finding]:
    """Add the labels of a folder to ``labels`` and yield the first problem of each wrong file."""
    try:
        labels.update(read_image_labels(path, classes, images=names))
    except LabelFileError as error:
        if len(names) == 1:
            labels[names[0]] = ()
            yield _finding(error)
            return
        half = len(names) // 2
        yield from _search_folder(path, classes, names[:half], labels)
        yield from _search_folder(path, classes, names[half:], labels)


def _search_file(path: Path, table: LabelTable, classes: Sequence[str]) -> list[Finding]:
    """Add what can be read of a file to a table and return what is wrong with it."""
    if path.suffix.lower() == '.csv':
        return list(_add_entries(csv_entries(path, classes), table))
    if path.suffix.lower() == '.json':
        try:
            content = parse_json(path, _Pairs)
        except LabelFileError:
            return []
        if is_instances(content):
            return list(_add_instances(content, table))
        if is_data_list(content):
            return list(_add_entries(data_list_entries(content, path), table))
        if isinstance(content, _Pairs):
            return list(_add_entries(_json_entries(content), table))
    return []


def files_without_image(path: str | os.PathLike[str], images: ImageNames) -> list[str]:
    """Return the names of the files in a folder of labels that belong to none of the images.

    Args:
        path: Any source; a file has none.
        images: The images.
    """
    if not os.path.isdir(path):
        return []
    kinds = (list_folder(path, (suffix,)) for suffix in ('.xml', '.png'))
    files = next((files for files in kinds if files.names), None)
    names = files.images.of.values() if files else ()
    return [name for name in names if images.find(name) is None]


def collect_labels(
    path: str | os.PathLike[str],
    classes: Sequence[str],
    images: Iterable[str | os.PathLike[str]] | None = None,
) -> tuple[ImageLabels, list[Finding]]:
    """Read image-level labels as far as they can be read, and say all that is wrong.

    Of an ``.npy`` file, and of a file in a folder, only the first problem is known.

    Args:
        path: Any source that :func:`read_image_labels` reads.
        classes: Class names, background first.
        images: Names of the images that matter; default: all.

    Returns:
        The labels that could be read, and the findings.
    """
    path = Path(path)
    images = None if images is None else list(images)
    try:
        return read_image_labels(path, classes, images=images), []
    except LabelFileError as error:
        first = Finding('unusable label source', str(error))
    labels: ImageLabels = {}
    if path.is_dir():
        present = [
            name for suffix in ('.xml', '.png') for name in files_of_images(path, suffix, None)
        ]
        wanted = present if images is None else list(ImageNames(images).of.values())
        findings = list(_search_folder(path, classes, wanted, labels)) if wanted else []
        return labels, findings or [first]
    table = LabelTable(path, classes, images)
    try:
        findings = _search_file(path, table, classes)
    except (LabelFileError, AttributeError, TypeError, KeyError):
        findings = []
    return table.labels, findings or [first]
