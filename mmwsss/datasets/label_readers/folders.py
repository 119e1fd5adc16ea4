"""Readers of image-level labels in a folder: PASCAL VOC annotations, and index masks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from mmwsss.utils import read_content

from ..folder_files import list_folder
from ..image_names import ImageNames
from ..masks import MaskError, read_mask
from .common import LabelEntry, LabelFileError, Report, entry_error


def _files_of_images(
    folder: Path, suffix: str, images: Iterable[str | os.PathLike[str]] | None
) -> Iterator[tuple[str, Path]]:
    """Yield the name of each image with its file in a folder or below it.

    Raises:
        ImageNameError: two files are of one image, or one may be of two.
    """
    files = list_folder(folder, (suffix,))
    found = files.paths() if images is None else files.of(ImageNames(images))
    return ((name, Path(path)) for name, path in found.items())


def _objects(path: Path) -> list[ElementTree.Element]:
    """Return the objects of an annotation; parts of objects are none."""
    try:
        content = read_content(path)
        if b'<!DOCTYPE' in content or b'<!ENTITY' in content:
            text = 'declares a document type, which VOC annotations do not'
            raise entry_error(text, path, advice='remove the declaration.')
        return ElementTree.fromstring(content).findall('object')
    except (ElementTree.ParseError, OSError) as error:
        text = f'not a readable VOC annotation ({error})'
        raise entry_error(text, path, advice='fetch or make the file again.') from error


def voc_entries(
    path: Path, classes: Sequence[str], images: Sequence[str] | None, report: Report
) -> Iterator[LabelEntry]:
    """Read a folder of VOC annotations, one ``{image}.xml`` per image.

    Objects marked difficult or truncated count like others, as in the field's own label
    files; the named parts of objects (head, hand, foot) do not.

    Args:
        path: The folder.
        classes: Not used: annotations hold names.
        images: Paths or names of the images to read; those without a file get no entry.
            None: all.
        report: Gets an error for a file that is no VOC annotation, or an object without name.
    """
    for image, file in _files_of_images(path, '.xml', images):
        found: dict[str, str] = {}
        try:
            for number, item in enumerate(_objects(file), start=1):
                name, place = (item.findtext('name') or '').strip(), f'{file}, object {number}'
                if not name:
                    raise entry_error('has no name', place, advice='write the class into <name>.')
                found.setdefault(name, place)
        except LabelFileError as error:
            report(error)
        yield LabelEntry(image, found, file.name)


def mask_entries(
    path: Path, classes: Sequence[str], images: Sequence[str] | None, report: Report
) -> Iterator[LabelEntry]:
    """Read the classes that the masks of a folder show, one ``{image}.png`` per image.

    Meant for making label files, once; training never opens masks.

    Args:
        path: The folder.
        classes: Class names, background first.
        images: As in :func:`voc_entries`.
        report: Gets an error for a file that is no index mask, or has values that are no class.
    """
    for image, file in _files_of_images(path, '.png', images):
        values: list[int] = []
        try:
            _, values = read_mask(file, len(classes))
        except MaskError as error:
            report(entry_error(error.problem, advice=error.advice))
        shown = [classes[value] for value in values if 0 < value < len(classes)]
        yield LabelEntry(image, dict.fromkeys(shown, str(file)), file.name)
