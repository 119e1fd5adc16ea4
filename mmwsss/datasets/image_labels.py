"""Image-level labels from any source: image id to the indices of its foreground classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmwsss.utils import short_list

from .folder_files import FolderFiles, list_folder
from .image_names import ImageNames
from .label_readers.class_folders import class_folder_entries, holds_class_folders
from .label_readers.common import (
    BACKGROUND_NAMES,
    LabelFileError,
    LabelTable,
    Reader,
    background_error,
    class_name,
)
from .label_readers.csv_file import csv_entries, csv_format
from .label_readers.folders import mask_entries, voc_entries
from .label_readers.json_file import json_entries, json_format
from .label_readers.npy_file import npy_entries

ImageLabels = dict[str, tuple[int, ...]]
ImagePaths = Iterable[str | os.PathLike[str]]

_FOLDERS: dict[str, Reader] = {'.xml': voc_entries, '.png': mask_entries}
_FILES: dict[str, Reader] = {'.csv': csv_entries, '.json': json_entries, '.npy': npy_entries}
_FORMATS: dict[Reader, str] = {
    voc_entries: 'PASCAL VOC annotations',
    mask_entries: 'index masks',
    class_folder_entries: 'a folder for each class',
    npy_entries: 'a vector for each image',
}
_WITHOUT_NAMES = (mask_entries, npy_entries)


def _folder_files(path: str | os.PathLike[str]) -> FolderFiles | None:
    """Return the annotations or masks of a folder, None where it has neither or is a file."""
    kinds = (list_folder(path, (suffix,)) for suffix in _FOLDERS) if os.path.isdir(path) else ()
    return next((files for files in kinds if files.names), None)


def _reader(path: Path) -> Reader:
    """Choose the reader by the kind of path."""
    files = _folder_files(path)
    if path.is_dir() and (files is None or files.suffix == '.png') and holds_class_folders(path):
        return class_folder_entries
    if files:
        return _FOLDERS[files.suffix]
    if path.is_dir():
        raise LabelFileError(
            'a folder without VOC annotations (.xml), masks (.png) or folders of photographs, one '
            'for each class',
            path,
            advice='give one of these, or a .csv, .json or .npy file.',
        )
    if not path.exists():
        raise LabelFileError(
            'does not exist',
            path,
            advice='give image_labels as a folder of VOC annotations (.xml), or a .csv, .json or '
            '.npy file.',
        )
    if path.suffix.lower() not in _FILES:
        raise LabelFileError(
            f'received a {path.suffix or "nameless"} file where a folder of .xml files, or a .csv, '
            '.json or .npy file is expected.',
            path,
        )
    return _FILES[path.suffix.lower()]


def _names(images: ImagePaths | None) -> list[str] | None:
    return None if images is None else [os.fspath(path) for path in images]


def _fill(table: LabelTable, path: Path, classes: Sequence[str], images: list[str] | None) -> None:
    """Read a source into a table."""
    reader = _reader(path)
    if images is None and path.is_dir():
        # their folders tell files of one name apart
        files = list_folder(path) if reader is class_folder_entries else _folder_files(path)
        table.images = files.images if files else table.images
    for entry in reader(path, classes, images, table.report):
        table.add(entry)


def source_format(path: str | os.PathLike[str]) -> str:
    """Return in words what kind of source a path is, as the readers understand it.

    Args:
        path: Any source that :func:`read_image_labels` reads.

    Raises:
        LabelFileError: it is none.
    """
    path = Path(path)
    reader = _reader(path)
    if reader in (csv_entries, json_entries):
        return csv_format(path) if reader is csv_entries else json_format(path)
    return _FORMATS[reader]


def read_image_labels(
    path: str | os.PathLike[str], classes: Sequence[str], *, images: ImagePaths | None = None
) -> ImageLabels:
    """Read image-level labels; the kind of source is told by the path.

    ===================  =====================================================================
    path                 source
    ===================  =====================================================================
    folder of ``.xml``   PASCAL VOC annotations
    folder of ``.png``   index masks (for making label files; training never opens masks)
    folder of folders    photographs, ``dog/1.jpg``; copies in several folders have all classes
    ``.json``            ``{"image": ["dog"]}``, or a file of COCO, MMPretrain or Label Studio
    ``.csv``             columns ``image,labels``, labels separated by ``;``; ``image,label`` with
                         a row for each class of an image; or a column of 0 and 1 for each class
    ``.npy``             the community's ``cls_labels.npy``, read without running what is in it
    ===================  =====================================================================

    Args:
        path: File or folder.
        classes: Class names as in METAINFO, background first.
        images: Names, paths or ids of the images that matter: of a folder only their files are
            read, and the integer keys of an ``.npy`` file are decoded to them. A file is read
            and checked whole, so the result may hold more. Default: all.

    Returns:
        Image id (name without extension) to sorted foreground indices, possibly none. Images
        that the source does not name have no entry.

    Raises:
        LabelFileError: the source cannot be read or says something wrong; the text names file,
            line or entry, and class.
    """
    table = LabelTable(path, classes, images := _names(images))
    _fill(table, Path(path), classes, images)
    return table.labels


def collect_labels(
    path: str | os.PathLike[str], classes: Sequence[str], images: ImagePaths | None = None
) -> tuple[ImageLabels, list[LabelFileError]]:
    """Read image-level labels as far as they can be read, and say all that is wrong.

    Args:
        path: Any source that :func:`read_image_labels` reads.
        classes: Class names, background first.
        images: Names of the images that matter; default: all.

    Returns:
        The labels that could be read, and the problems, of the kind ``'unusable label source'``
        where the source cannot be read to its end.
    """
    problems: list[LabelFileError] = []
    table = LabelTable(path, classes, images := _names(images), problems.append)
    try:
        _fill(table, Path(path), classes, images)
    except LabelFileError as error:
        problems.append(error)
    return table.labels, problems


def _is_class_folders(path: str | os.PathLike[str]) -> bool:
    return os.path.isdir(path) and _reader(Path(path)) is class_folder_entries


def files_without_image(path: str | os.PathLike[str], images: ImageNames) -> list[str]:
    """Return the names of the files in a folder of labels that belong to none of the images.

    Args:
        path: Any source; a file has none.
        images: The images.
    """
    files = None if _is_class_folders(path) else _folder_files(path)
    names = files.images.of.values() if files else ()
    return [name for name in names if images.find(name) is None]


def read_tag_names(
    path: str | os.PathLike[str], images: ImagePaths | None = None
) -> tuple[str, ...]:
    """Return the classes that a source of tags names, sorted, the background not among them.

    What else is wrong with the source is left to :func:`read_image_labels`.

    Args:
        path: CSV or JSON file of class names, COCO instances, folder of VOC annotations or a folder
            for each class.
        images: Names of the images that matter in a folder; default: all.

    Raises:
        LabelFileError: the source cannot be read or holds no names; a tag is empty or the
            background; two names differ in case or blanks alone.
    """
    path, images = Path(path), _names(images)
    reader = _reader(path)
    if reader in _WITHOUT_NAMES:
        raise LabelFileError(
            'no source whose classes are known by name (CSV or JSON file, folder of VOC '
            'annotations)',
            path,
            advice='take such a one, or name the classes.',
        )
    problems: list[LabelFileError] = []
    first: dict[str, tuple[str, str]] = {}
    for entry in reader(path, (), images, problems.append):
        for name, place in entry.classes.items():
            first.setdefault(class_name(name), (place, entry.where))
    alike: dict[str, str] = {}
    for name, (place, _) in first.items():
        if not name:
            raise LabelFileError('the name of a class is empty', place, advice='leave it out.')
        if name.lower() in BACKGROUND_NAMES:
            raise background_error(name, place)
        other = alike.setdefault(' '.join(name.split()).casefold(), name)
        if other != name:
            pair = short_list(f'{n!r} ({first[n][1]})' for n in (other, name))
            text = f'the classes {pair} differ in case or blanks alone'
            raise LabelFileError(text, path, advice='write one of them everywhere.')
    if problems and not first:
        raise problems[0]
    return tuple(sorted(first))


__all__ = [
    'ImageLabels',
    'LabelFileError',
    'collect_labels',
    'files_without_image',
    'read_image_labels',
    'read_tag_names',
    'source_format',
]
