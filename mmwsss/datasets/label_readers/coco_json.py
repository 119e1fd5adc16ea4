"""Reader of image-level labels in a COCO instances JSON file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from .common import LabelEntry, Report, entry_error, parsed

AGAIN = 'make the file again.'
_SIDES = ('height', 'width')
_KINDS = dict(name=(str,), file_name=(str,), height=(int,), width=(int,))
_PARTS = ('images', 'annotations', 'categories')
_SINGULAR = dict(images='image', categories='category')


def is_instances(content: Any) -> bool:
    """Tell whether the content of a JSON file has the structure of COCO instances."""
    return isinstance(content, dict) and all(isinstance(content.get(key), list) for key in _PARTS)


def fields_of(item: Any, keys: Sequence[str], place: str) -> tuple[Any, ...]:
    """Return values of an entry of an instances file.

    Args:
        item: The entry.
        keys: Of the values. Names are text, sides of images whole numbers from 1 on, ids numbers
            or text.
        place: File and number of the entry, for the error.

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
        raise entry_error(
            f'received {str(item)[:60]} where an object with {" and ".join(keys)} is expected, '
            'names as text, ids and sides as whole numbers',
            place,
            advice=AGAIN,
        )
    return values


def named_items(
    content: dict[str, Any], part: str, key: str, path: Path, report: Report
) -> dict[Any, str]:
    """Return the names of the images or categories of an instances file by their ids.

    Args:
        content: What the file holds.
        part: ``'images'`` or ``'categories'``.
        key: Of the names, ``'file_name'`` or ``'name'``.
        path: The file, for errors.
        report: Gets an error for each that lacks id or name, or has the id of another one.
    """
    seen = set()

    def read(numbered: tuple[int, Any]) -> tuple[Any, str]:
        place = f'{path}, {_SINGULAR[part]} {numbered[0]}'
        identity, name = fields_of(numbered[1], ('id', key), place)
        if identity in seen:
            text = f'the id {identity!r} is that of another one, too'
            raise entry_error(text, place, advice=AGAIN)
        seen.add(identity)
        return identity, name

    return dict(parsed(enumerate(content[part], start=1), read, report))


def sound_annotations(
    content: dict[str, Any], images: Container, categories: Container, path: Path, report: Report
) -> Iterator[dict[str, Any]]:
    """Yield the annotations of an instances file whose image and category there are.

    Args:
        content: What the file holds.
        images: Ids of its images.
        categories: Ids of its categories.
        path: The file, for errors.
        report: Gets an error for each of the others.
    """

    def check(numbered: tuple[int, Any]) -> dict[str, Any]:
        number, annotation = numbered
        try:
            if annotation['image_id'] in images and annotation['category_id'] in categories:
                return annotation
        except (KeyError, TypeError, IndexError):
            # what is missing is said below
            pass
        place = f'{path}, annotation {number}'
        image, category = fields_of(annotation, ('image_id', 'category_id'), place)
        what, key = ('image', image) if image not in images else ('category', category)
        text = f'it belongs to the {what} {key!r}, which is not in the file'
        raise entry_error(text, place, advice=AGAIN)

    return parsed(enumerate(content['annotations'], start=1), check, report)


def coco_entries(content: dict[str, Any], path: Path, report: Report) -> Iterator[LabelEntry]:
    """Yield the classes of the objects of each image, by the names of their categories.

    Objects marked ``iscrowd`` count like others, as in the field's own label files (with them
    82,081 images of train2014 and 40,137 of val2014 are tagged). Images without objects get
    an empty entry.

    Args:
        content: What the file holds.
        path: The file, for errors.
        report: Gets an error for what :func:`named_items` and :func:`sound_annotations` report.
    """
    categories = named_items(content, 'categories', 'name', path, report)
    images = named_items(content, 'images', 'file_name', path, report)
    found: dict[Any, set[Any]] = {key: set() for key in images}
    used: Counter[Any] = Counter()
    for annotation in sound_annotations(content, images, categories, path, report):
        found[annotation['image_id']].add(annotation['category_id'])
        used[annotation['category_id']] += 1
    places = {k: f'{path}, category {k} with {n} annotations' for k, n in used.items()}
    for number, (key, name) in enumerate(images.items(), start=1):
        classes = {categories[k]: places[k] for k in sorted(found[key], key=str)}
        yield LabelEntry(name, classes, f'image {number}')
