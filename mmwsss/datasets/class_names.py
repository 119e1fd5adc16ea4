"""Lists of class names as the command line names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmseg.datasets import PascalVOCDataset

from .image_level_coco_dataset import COCO_CLASSES
from .imagenet_classes import imagenet_classes
from .label_readers.common import (
    BACKGROUND_NAMES,
    LabelFileError,
    class_name,
    parse_json,
    read_text,
    text_lines,
)

# ImageNet's are read when they are asked for
KNOWN = {'voc': tuple(PascalVOCDataset.METAINFO['classes']), 'coco': COCO_CLASSES}


def _file_classes(path: Path) -> list[str]:
    """Return the names in a file: one a line, or a JSON list."""
    if path.suffix.lower() != '.json':
        return [line.strip() for line in text_lines(read_text(path)) if line.strip()]
    names = parse_json(path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LabelFileError('not a list of class names', path, advice='write ["dog", "cat"].')
    return names


def class_names(words: Sequence[str]) -> tuple[str, ...]:
    """Return class names, background first.

    Args:
        words: ``['voc']``, ``['coco']``, ``['imagenet']``, a file (one name a line, or a JSON
            list), or the names. The background is put first where it is not.

    Raises:
        LabelFileError: the file cannot be read, no class is named, one is empty or named twice.

    Example:
        >>> class_names(['dog', 'cat'])
        ('background', 'dog', 'cat')
        >>> len(class_names(['voc']))
        21
    """
    if len(words) == 1 and words[0] in KNOWN:
        return KNOWN[words[0]]
    if list(words) == ['imagenet']:
        return ('background', *(names[0] for names in imagenet_classes()))
    names = list(words)
    if len(words) == 1 and Path(words[0]).suffix.lower() in ('.txt', '.json', '.csv'):
        names = _file_classes(Path(words[0]))
    names = [class_name(name) for name in names]
    if not names or names[0].lower() not in BACKGROUND_NAMES:
        names = ['background', *names]
    if len(names) < 2 or len(set(names)) < len(names) or '' in names:
        raise LabelFileError(
            f'classes {", ".join(map(repr, names))}: at least one class beside the background is '
            'expected, each with a name, and once: give voc, coco, a file with one name a line, or '
            'the names.'
        )
    return tuple(names)
