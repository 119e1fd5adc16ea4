"""Reader of image-level labels in a JSON file that maps images to class names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from .coco_json import is_instances, labels_from_instances
from .common import LabelFileError, LabelTable, parse_json


class _DuplicateKeyError(Exception):
    """An object has the same key twice."""


def _slim_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict that refuses a second key and drops the polygons of COCO annotations."""
    slim = dict(pairs)
    if len(slim) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = Counter(keys).most_common(1)[0][0]
        first = keys.index(twice)
        second = keys.index(twice, first + 1)
        raise _DuplicateKeyError(f'{twice!r} has two entries, {first + 1} and {second + 1}')
    if 'image_id' in slim:
        # 0.3 GB of polygons that image-level labels do not need
        slim.pop('segmentation', None)
    return slim


def load_json(path: Path) -> Any:
    """Load a JSON file, without the polygons where it is COCO's.

    Raises:
        LabelFileError: missing, not JSON, or an object has the same key twice.
    """
    try:
        return parse_json(path, _slim_object)
    except _DuplicateKeyError as error:
        raise LabelFileError(f'{path}: {error}: keep one.') from error


def labels_from_mapping(
    content: Any,
    path: Path,
    classes: Sequence[str],
    images: Collection[str] | None = None,
) -> dict[str, tuple[int, ...]]:
    """Read the labels of a mapping from images to lists of class names.

    Args:
        content: What the file holds.
        path: The file, for errors.
        classes: Class names, background first.
        images: Paths or names of the images that entries may mean.

    Raises:
        LabelFileError: another structure, an unknown class, two entries for one image.
    """
    if not isinstance(content, dict):
        raise LabelFileError(
            f'{path}: holds a {type(content).__name__} where an object is expected: write '
            '{"image": ["class", ...]}, or give a COCO instances file.'
        )
    table = LabelTable(path, classes, images)
    for number, (image, names) in enumerate(content.items(), start=1):
        where = f'entry {number} ({image!r})'
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise LabelFileError(
                f'{path}, {where}: received {str(names)[:60]} where a list of class names is '
                'expected: write ["class", ...], or [] for none.'
            )
        table.add_names(image, names, where)
    return table.labels


def is_data_list(content: Any) -> bool:
    """Tell whether the content of a JSON file has the structure of MMPretrain's annotations."""
    return isinstance(content, dict) and isinstance(content.get('data_list'), list)


def data_list_entries(content: dict[str, Any], path: Path) -> Iterator[tuple[str, list[str], str]]:
    """Yield image, labels and place of each entry of an annotation file of MMPretrain.

    Args:
        content: What the file holds.
        path: The file, for errors.

    Raises:
        LabelFileError: an entry lacks an image or classes that there are.
    """
    metainfo = content.get('metainfo')
    classes = metainfo.get('classes') if isinstance(metainfo, dict) else None
    classes = classes if isinstance(classes, list) else []
    for number, item in enumerate(content['data_list'], start=1):
        where = f'entry {number}'
        entry = item if isinstance(item, dict) else {}
        image, label = entry.get('img_path'), entry.get('gt_label')
        indices = label if isinstance(label, list) else [label]
        names = [classes[k] for k in indices if type(k) is int and 0 <= k < len(classes)]
        if not isinstance(image, str) or len(names) < len(indices):
            raise LabelFileError(
                f'{path}, {where}: received {str(item)[:60]} where img_path and gt_label, indices '
                f'of the {len(classes)} names in metainfo.classes, are expected: correct it.'
            )
        yield image, list(map(str, names)), where


def read_json_labels(
    path: Path, classes: Sequence[str], images: Collection[str] | None = None
) -> dict[str, tuple[int, ...]]:
    """Read a JSON file ``{"image": ["dog"]}``, COCO instances or annotations of MMPretrain.

    Args:
        path: The file.
        classes: Class names, background first.
        images: Paths or names of the images that entries may mean; all are read.

    Raises:
        LabelFileError: see :func:`labels_from_mapping` and
            :func:`~.coco_json.labels_from_instances`.
    """
    content = load_json(path)
    if is_data_list(content):
        table = LabelTable(path, classes, images)
        for image, names, where in data_list_entries(content, path):
            table.add_names(image, names, where)
        return table.labels
    if is_instances(content):
        return labels_from_instances(content, path, classes, images)
    return labels_from_mapping(content, path, classes, images)
