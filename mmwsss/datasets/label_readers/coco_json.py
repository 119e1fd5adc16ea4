"""Reader of image-level labels in a COCO instances JSON file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .common import LabelFileError, LabelTable

_SIDES = ('height', 'width')
_KINDS = dict(name=(str,), file_name=(str,), height=(int,), width=(int,))
_PARTS = ('images', 'annotations', 'categories')


def is_instances(content: Any) -> bool:
    """Tell whether the content of a JSON file has the structure of COCO instances."""
    return isinstance(content, dict) and all(isinstance(content.get(key), list) for key in _PARTS)


def fields_of(item: Any, keys: Sequence[str], where: str) -> tuple[Any, ...]:
    """Return values of an entry of an instances file.

    Args:
        item: The entry.
        keys: Of the values. Names are text, sides of images whole numbers from 1 on, ids numbers
            or text.
        where: File and number of the entry, for the error.

    Raises:
        LabelFileError: a value is missing or of another kind.
    """
    values = tuple(item.get(key) for key in keys) if isinstance(item, dict) else ()
    kinds = [_KINDS.get(key, (int, str)) for key in keys]
    if (
        not values
        or not all(map(isinstance, values, kinds))
        or any(v is None or v < 1 for k, v in zip(keys, values, strict=True) if k in _SIDES)
    ):
        raise LabelFileError(
            f'{where}: received {str(item)[:60]} where an object with {" and ".join(keys)} is '
            'expected, names as text, ids and sides as whole numbers: make the file again.'
        )
    return values


def instance_file_names(content: dict[str, Any], path: Path) -> list[str]:
    """Return the file name of every image of a COCO instances file.

    Args:
        content: What the file holds.
        path: The file, for errors.

    Raises:
        LabelFileError: an image has no ``file_name``.
    """
    return [
        str(fields_of(image, ('file_name',), f'{path}, image {number}')[0])
        for number, image in enumerate(content['images'], start=1)
    ]


def labels_from_instances(
    content: dict[str, Any],
    path: Path,
    classes: Sequence[str],
    images: Iterable[str] | None = None,
) -> dict[str, tuple[int, ...]]:
    """Return the classes of the objects of each image, found by the categories' names.

    Objects marked ``iscrowd`` count like others, as in the field's own label files (with them
    82,081 images of train2014 and 40,137 of val2014 are tagged). Images without objects get
    an empty entry.

    Args:
        content: What the file holds.
        path: The file, for errors.
        classes: Class names, background first.
        images: Paths or names of the images that matter.

    Raises:
        LabelFileError: a category with objects is no class, an annotation names an image or a
            category that does not exist, two images have the same name.
    """
    table = LabelTable(path, classes, images)
    categories = {}
    for number, category in enumerate(content['categories'], start=1):
        key, name = fields_of(category, ('id', 'name'), f'{path}, category {number}')
        categories[key] = name
    found: dict[Any, set[int]] = {}
    names: dict[Any, str] = {}
    for number, image in enumerate(content['images'], start=1):
        key, name = fields_of(image, ('id', 'file_name'), f'{path}, image {number}')
        found[key] = set()
        names[key] = name
    indices: dict[Any, int] = {}
    for number, annotation in enumerate(content['annotations'], start=1):
        try:
            found[annotation['image_id']].add(indices[annotation['category_id']])
        except (KeyError, TypeError, IndexError):
            # the first object of a category, or something is wrong
            where = f'annotation {number}'
            keys = ('image_id', 'category_id')
            image_key, category = fields_of(annotation, keys, f'{path}, {where}')
            if image_key not in found or category not in categories:
                raise LabelFileError(
                    f'{path}, {where}: image_id {image_key} or category_id {category} is not '
                    'among the images and categories of the file: make the file again.'
                ) from None
            indices[category] = table.class_index(categories[category], where)
            found[image_key].add(indices[category])
    for number, (key, name) in enumerate(names.items(), start=1):
        table.add(name, found[key], f'image {number}')
    return table.labels
