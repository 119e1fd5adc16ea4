"""Reader of image-level labels in Label Studio's exports, JSON and JSON-MIN."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..image_names import IMAGE_SUFFIXES, ImageNameError, ImageNames
from .common import LabelEntry, Report, entry_error, parsed

# what Label Studio puts before the name of a file that is uploaded
UPLOAD = re.compile(r'(^|/)[0-9a-f]{8}-(?=[^/]+$)')
ABOUT = ('id', 'annotator', 'annotation_id', 'created_at', 'updated_at', 'lead_time', 'agreement')


def is_label_studio(content: Any) -> bool:
    """Tell whether the content of a JSON file is a list of Label Studio's tasks.

    Args:
        content: What the file holds.
    """
    return isinstance(content, list) and any(map(_images, content))


def _fields(task: Any) -> dict[str, Any]:
    """Return the fields of a task that hold its data; in JSON-MIN, its labels, too."""
    task = task if isinstance(task, dict) else {}
    data = task['data'] if isinstance(task.get('data'), dict) else task
    return {key: value for key, value in data.items() if key not in ABOUT}


def _images(task: Any) -> list[str]:
    """Return the fields that name an image."""
    return [
        key
        for key, value in _fields(task).items()
        if isinstance(value, str) and _address(value).lower().endswith(IMAGE_SUFFIXES)
    ]


def _address(value: str) -> str:
    """Return the path of an image in an address: of a local file that is named in its query."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return value
    return unquote(parse_qs(parts.query).get('d', [parts.path])[0])


def _image(value: str, names: ImageNames | None) -> str:
    """Return the name of an image, without what an upload put before it."""
    path = _address(value)
    plain = UPLOAD.sub(r'\1', path)
    if plain == path or names is None:
        return plain
    try:
        return path if names.find(path) is not None else plain
    except ImageNameError:
        return path


def _names(values: Any) -> set[str]:
    """Return the class names in lists of a value: choices, and the labels of boxes and regions."""
    found: set[str] = set()
    for value in values if isinstance(values, list) else [values]:
        lists = value.items() if isinstance(value, dict) else ()
        for kind, names in lists:
            if isinstance(names, list) and (kind == 'choices' or kind.endswith('labels')):
                found.update(name for name in names if isinstance(name, str))
    return found


def _annotations(task: Mapping[str, Any], place: str) -> list[set[str]]:
    """Return the classes of each annotation of a task that was not cancelled."""
    if isinstance(task.get('data'), dict):
        found = task.get('annotations')
        found = [a for a in found if isinstance(a, dict)] if isinstance(found, list) else []
        results = [a.get('result') for a in found if not a.get('was_cancelled')]
        results = [result if isinstance(result, list) else [] for result in results]
        return [
            _names([item.get('value') for item in result if isinstance(item, dict)])
            for result in results
        ]
    fields = {key: v for key, v in _fields(task).items() if key not in _images(task)}
    single = [key for key, value in fields.items() if isinstance(value, str)]
    if len(single) > 1:
        text = f'the fields {" and ".join(single[:2])} may both hold classes'
        raise entry_error(text, place, advice='export as JSON, not as JSON-MIN.')
    return [{fields[key] for key in single}.union(*map(_names, fields.values()))]


def label_studio_entries(
    content: Sequence[Any], path: Path, images: Sequence[str] | None, report: Report
) -> Iterator[LabelEntry]:
    """Yield the classes of each task: choices, and the labels of boxes and regions.

    Addresses of uploads lose the eight digits that Label Studio puts before a name, unless an
    image has that name. Predictions and cancelled annotations do not count.

    Args:
        content: What the file holds, a list of tasks.
        path: The file, for errors.
        images: Names of the images that matter, None if they are not known.
        report: Gets an error for a task without image or annotation, with annotations that
            disagree, or with several fields that may hold classes.
    """
    names = None if images is None else ImageNames(images)

    def parse(numbered: tuple[int, Any]) -> LabelEntry:
        number, task = numbered
        where = f'task {number}'
        place = f'{path}, {where}'
        keys = _images(task)
        if len(keys) != 1:
            text = f'{len(keys)} fields name an image where one is expected'
            raise entry_error(text, place, advice='export tasks of one image each.')
        image = _fields(task)[keys[0]]
        annotations = _annotations(task, place)
        if not annotations:
            raise entry_error(
                f'the image {image} has no annotation',
                place,
                advice='annotate it, with no choice where it shows none of the classes, or leave '
                'it out of the export.',
            )
        first, *others = annotations
        if any(other != first for other in others):
            said = ' and '.join(', '.join(sorted(a)) or 'nothing' for a in annotations)
            text = f'the annotations of {image} disagree: {said}'
            raise entry_error(text, place, advice='keep one of them.')
        return LabelEntry(_image(image, names), dict.fromkeys(sorted(first), place), where)

    return parsed(enumerate(content, start=1), parse, report)
