"""Reader of image-level labels in a folder of PASCAL VOC annotations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from xml.etree import ElementTree

from mmwsss.utils import read_content

from .common import LabelFileError, LabelTable, files_of_images


def _object_names(path: Path) -> list[str]:
    """Return the class of every object, parts of objects not counted."""
    try:
        content = read_content(path)
        if b'<!DOCTYPE' in content or b'<!ENTITY' in content:
            raise LabelFileError(
                f'{path}: declares a document type, which VOC annotations do not: remove the '
                'declaration.'
            )
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, OSError) as error:
        raise LabelFileError(
            f'{path}: not a readable VOC annotation ({error}): fetch or make the file again.'
        ) from error
    names = []
    for number, item in enumerate(root.findall('object'), start=1):
        name = (item.findtext('name') or '').strip()
        if not name:
            raise LabelFileError(
                f'{path}, object {number}: has no name: write the class into <name>.'
            )
        names.append(name)
    return names


def read_voc_xml(
    path: Path, classes: Sequence[str], images: Collection[str] | None = None
) -> dict[str, tuple[int, ...]]:
    """Read a folder of VOC annotations, one ``{image}.xml`` an image.

    Objects marked difficult or truncated count like others, as in the field's own label
    files; the named parts of objects (head, hand, foot) do not.

    Args:
        path: The folder.
        classes: Class names, background first.
        images: Paths or names of the images to read; those without a file get no entry.
            Default: all.

    Raises:
        LabelFileError: a file is no VOC annotation or names an unknown class.
    """
    labels = {}
    for name, file in files_of_images(path, '.xml', images).items():
        table = LabelTable(file, classes)
        found = enumerate(_object_names(file), start=1)
        indices = {table.class_index(tag, f'object {number}') for number, tag in found}
        labels[name] = tuple(sorted(indices))
    return labels
