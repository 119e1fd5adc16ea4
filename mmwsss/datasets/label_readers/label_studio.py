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
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(task, dict) and _images(task) for task in content[:10])
    )


def _images(task: Mapping[str, Any]) -> list[str]:
    """Return what may be the address of the task's image."""
    data = task['data'] if isinstance(task.get('data'), dict) else task
    values = [value for key, value in data.items() if key not in ABOUT and isinstance(value, str)]
    return [value for value in values if _address(value).lower().endswith(IMAGE_SUFFIXES)]


def _address(value: str) -> str:
    """Return the path of an image in an address: of a local file that is named in its query."""
    parts = urlsplit(value)
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


def _chosen(result: Any) -> set[str]:
    """Return the classes of an annotation: choices, and the labels of boxes or regions."""
    chosen: set[str] = set()
    for item in result if isinstance(result, list) else ():
        kind, value = item.get('type'), item.get('value')
        names = value.get(kind) if isinstance(value, dict) else None
        chosen.update(name for name in names or () if isinstance(name, str))
    return chosen


def _annotations(task: Mapping[str, Any]) -> list[set[str]]:
    """Return the classes of each annotation of a task that was not cancelled."""
    if isinstance(task.get('data'), dict):
        found = task.get('annotations')
        found = [a for a in found if isinstance(a, dict)] if isinstance(found, list) else []
        return [_chosen(a.get('result')) for a in found if not a.get('was_cancelled')]
    chosen: set[str] = set()
    for key, value in task.items():
        if key not in ABOUT and value not in _images(task):
            names = value.get('choices', ()) if isinstance(value, dict) else [value]
            chosen.update(name for name in names if isinstance(name, str))
    return [chosen]


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
        report: Gets an error for a task without image or annotation, or with annotations that
            disagree.
    """
    names = None if images is None else ImageNames(images)

    def parse(numbered: tuple[int, Any]) -> LabelEntry:
        number, task = numbered
        where = f'task {number}'
        place = f'{path}, {where}'
        found = _images(task) if isinstance(task, dict) else []
        if len(found) != 1:
            text = f'{len(found)} fields name an image where one is expected'
            raise entry_error(text, place, advice='export tasks of one image each.')
        annotations = _annotations(task)
        if not annotations:
            raise entry_error(
                f'the image {found[0]} has no annotation',
                place,
                advice='annotate it, with no choice where it shows none of the classes, or leave '
                'it out of the export.',
            )
        first, *others = annotations
        if any(other != first for other in others):
            said = ' and '.join(', '.join(sorted(a)) or 'nothing' for a in annotations)
            text = f'the annotations of {found[0]} disagree: {said}'
            raise entry_error(text, place, advice='keep one of them.')
        return LabelEntry(_image(found[0], names), dict.fromkeys(sorted(first), place), where)

    return parsed(enumerate(content, start=1), parse, report)
