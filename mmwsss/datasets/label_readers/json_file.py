"""Reader of image-level labels in a JSON file of any of four structures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .coco_json import coco_entries, is_instances
from .common import LabelEntry, LabelFileError, Report, entry_error, parse_json, parsed
from .label_studio import is_label_studio, label_studio_entries


class RepeatedKeys(dict):
    """An object of a JSON file that has a key twice; ``pairs`` keeps all."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def load_json(path: Path, *, polygons: bool = False) -> Any:
    """Load a JSON file.

    Args:
        path: The file.
        polygons: Keep those of COCO's annotations, 0.3 GB that labels do not need.

    Raises:
        LabelFileError: missing, not JSON, or an object has the same key twice and is no mapping
            from images to class names.
    """
    repeated: list[RepeatedKeys] = []

    def make(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            made = RepeatedKeys(pairs)
            repeated.append(made)
        if not polygons and 'image_id' in made:
            made.pop('segmentation', None)
        return made

    content = parse_json(path, make)
    if repeated and (repeated[0] is not content or is_instances(content) or is_data_list(content)):
        keys = [key for key, _ in repeated[0].pairs]
        twice = Counter(keys).most_common(1)[0][0]
        first = keys.index(twice)
        second = keys.index(twice, first + 1)
        text = f'{twice!r} has two entries, {first + 1} and {second + 1}'
        raise LabelFileError(text, path, advice='keep one.')
    return content


def load_instances(
    path: Path, *, polygons: bool = False, advice: str = 'give one.'
) -> dict[str, Any]:
    """Load a COCO instances file.

    Args:
        path: The file.
        polygons: As of :func:`load_json`.
        advice: What to do if it is not one.

    Raises:
        LabelFileError: it is not one.
    """
    content = load_json(path, polygons=polygons)
    if is_instances(content):
        return content
    raise LabelFileError(
        'lacks one of the lists images, annotations and categories of a COCO instances file',
        path,
        advice=advice,
    )


def is_data_list(content: Any) -> bool:
    """Tell whether the content of a JSON file has the structure of MMPretrain's annotations."""
    return isinstance(content, dict) and isinstance(content.get('data_list'), list)


def _data_list_entries(content: dict[str, Any], path: Path, report: Report) -> Iterator[LabelEntry]:
    """Yield the entries of an annotation file of MMPretrain."""
    metainfo = content.get('metainfo')
    classes = metainfo.get('classes') if isinstance(metainfo, dict) else None
    classes = classes if isinstance(classes, list) else []

    def parse(numbered: tuple[int, Any]) -> LabelEntry:
        number, item = numbered
        where = f'entry {number}'
        place = f'{path}, {where}'
        entry = item if isinstance(item, dict) else {}
        image, label = entry.get('img_path'), entry.get('gt_label')
        indices = label if isinstance(label, list) else [label]
        names = [str(classes[k]) for k in indices if type(k) is int and 0 <= k < len(classes)]
        if not isinstance(image, str) or len(names) < len(indices):
            text = (
                f'received {str(item)[:60]} where img_path and gt_label, indices of the '
                f'{len(classes)} names in metainfo.classes, are expected'
            )
            raise entry_error(text, place, advice='correct it.')
        return LabelEntry(image, dict.fromkeys(names, place), where)

    return parsed(enumerate(content['data_list'], start=1), parse, report)


def _mapping_entries(content: Any, path: Path, report: Report) -> Iterator[LabelEntry]:
    """Yield the entries of a mapping from images to lists of class names."""
    if not isinstance(content, dict):
        raise LabelFileError(
            f'holds a {type(content).__name__} where an object is expected',
            path,
            advice='write {"image": ["class", ...]}, or give a file of COCO, MMPretrain or Label '
            'Studio.',
        )
    pairs = content.pairs if isinstance(content, RepeatedKeys) else content.items()

    def parse(numbered: tuple[int, tuple[str, Any]]) -> LabelEntry:
        number, (image, names) = numbered
        where = f'entry {number} ({image!r})'
        place = f'{path}, {where}'
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            text = f'received {str(names)[:60]} where a list of class names is expected'
            raise entry_error(text, place, advice='write ["class", ...], or [] for none.')
        return LabelEntry(image, dict.fromkeys(names, place), where)

    return parsed(enumerate(pairs, start=1), parse, report)


def json_entries(
    path: Path, classes: Sequence[str], images: Sequence[str] | None, report: Report
) -> Iterator[LabelEntry]:
    """Read a JSON file ``{"image": ["dog"]}``, of COCO, of MMPretrain or of Label Studio.

    Args:
        path: The file.
        classes: Not used: the file holds names.
        images: Names of images, which tell what an upload to Label Studio was called; all entries
            are read.
        report: Gets an error for each entry of another structure.

    Raises:
        LabelFileError: it cannot be read, or is of none of these structures.
    """
    content = load_json(path)
    if is_data_list(content):
        return _data_list_entries(content, path, report)
    if is_instances(content):
        return coco_entries(content, path, report)
    if is_label_studio(content):
        return label_studio_entries(content, path, images, report)
    return _mapping_entries(content, path, report)


def json_format(path: Path) -> str:
    """Return in words which of the structures a file has.

    Args:
        path: The file.

    Raises:
        LabelFileError: it cannot be read.
    """
    content = load_json(path)
    if is_data_list(content):
        return "MMPretrain's annotations"
    if is_instances(content):
        return "COCO's annotations"
    return "Label Studio's tasks" if is_label_studio(content) else 'class names by image'
