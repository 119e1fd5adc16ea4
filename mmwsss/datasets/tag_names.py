"""The names that a source of tags uses, where its classes are not known beforehand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmwsss.utils import short_list

from .check_labels import _json_entries, _Pairs
from .folder_files import list_folder
from .image_labels import LabelFileError, read_image_labels
from .label_readers import files_of_images, is_instances
from .label_readers.common import BACKGROUND_NAMES, class_name, parse_json
from .label_readers.csv_file import csv_entries
from .label_readers.json_file import data_list_entries, is_data_list
from .label_readers.voc_xml import _object_names

# a name, and the line, entry or file that it stands in
Place = tuple[str, str]


def _csv_names(path: Path) -> Iterator[Place]:
    for _, names, where in csv_entries(path, ()):
        if not isinstance(names, LabelFileError):
            yield from ((name, where) for name in names)


def _json_names(path: Path) -> Iterator[Place]:
    try:
        content = parse_json(path, _Pairs)
    except LabelFileError:
        # as above
        return
    if is_instances(content):
        labels = [item for item in content['annotations'] if isinstance(item, dict)]
        used = {str(item.get('category_id')) for item in labels}
        for item in (item for item in content['categories'] if isinstance(item, dict)):
            if str(item.get('id')) in used:
                yield str(item.get('name')), f'category {item.get("id")}'
        return
    if is_data_list(content):
        for _, names, where in data_list_entries(content, path):
            yield from ((name, where) for name in names)
        return
    for _, names, where in _json_entries(content) if isinstance(content, _Pairs) else ():
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str):
                yield name, where


def _xml_names(path: Path, images: Iterable[str] | None) -> Iterator[Place]:
    for file in files_of_images(path, '.xml', images).values():
        try:
            yield from ((name, file.name) for name in _object_names(file))
        except LabelFileError:
            continue


def _places(path: Path, images: Iterable[str] | None) -> Iterator[Place]:
    """Yield every name with its place, as far as the source can be read."""
    if path.is_dir() and list_folder(path, ('.xml',)).names:
        return _xml_names(path, images)
    if path.suffix.lower() == '.csv':
        return _csv_names(path)
    if path.suffix.lower() == '.json':
        return _json_names(path)
    raise LabelFileError(
        f'{path}: no source whose classes are known by name (CSV or JSON file, folder of VOC '
        'annotations): take such a one, or name the classes.'
    )


def read_tag_names(
    path: str | os.PathLike[str], images: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return the classes that a source of tags names, sorted, the background not among them.

    What else is wrong with the source is left to its reader.

    Args:
        path: CSV or JSON file of class names, COCO instances, or folder of VOC annotations.
        images: Names of the images that matter in a folder; default: all.

    Raises:
        LabelFileError: the source cannot be read or holds no names; a tag is empty or the
            background; two names differ in case or blanks alone.
    """
    path = Path(path)
    first: dict[str, str] = {}
    for name, where in _places(path, images):
        first.setdefault(class_name(name), where)
    alike: dict[str, str] = {}
    for name, where in first.items():
        if not name:
            raise LabelFileError(f'{path}, {where}: the name of a class is empty: leave it out.')
        if name.lower() in BACKGROUND_NAMES:
            raise LabelFileError(
                f'{path}, {where}: class {name!r} is the background, which every image may have: '
                'leave it out of the labels.'
            )
        other = alike.setdefault(' '.join(name.split()).casefold(), name)
        if other != name:
            pair = short_list(f'{n!r} ({first[n]})' for n in (other, name))
            raise LabelFileError(
                f'{path}: the classes {pair} differ in case or blanks alone: write one of them '
                'everywhere.'
            )
    if not first:
        # a source of another form names none: its reader says what is expected
        read_image_labels(path, ('background',), images=images)
    return tuple(sorted(first))
