"""What the tools share that convert published weights: arguments, classes, refused files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from mmwsss.datasets.class_palettes import read_classes
from mmwsss.engine.launch import UsageError
from mmwsss.models.converters.foreign_weights import ConversionError, Converted, save_weights

DATA_SETS = {21: 'voc', 81: 'coco'}  # number of classes, background included, to the data set


def converter_parser(
    description: str, src_help: str = 'published checkpoint, .pth'
) -> argparse.ArgumentParser:
    """Make the parser of a converter: the file to convert and the file to write.

    Args:
        description: What the tool converts, and for what.
        src_help: What the file to convert is.
    """
    parser = argparse.ArgumentParser(description=f'{description} Nothing in the file is run.')
    parser.add_argument('src', help=src_help)
    parser.add_argument('dst', help='file to write, .pth')
    return parser


def dataset_name(num_classes: int | None) -> str:
    """Return which data set's config fits best; other data sets differ in the classes alone.

    Args:
        num_classes: Number of classes, background included.

    Example:
        >>> dataset_name(81), dataset_name(4)
        ('coco', 'voc')
    """
    return DATA_SETS.get(num_classes or 0, 'voc')


def class_meta(num_classes: int | None) -> dict[str, Any]:
    """Return names and colours of the classes for a checkpoint's ``meta``, where they are known.

    MMSegmentation's ``init_model`` and inferencers show them; without them they take Cityscapes'.

    Args:
        num_classes: Number of classes, background included; None for a backbone.

    Example:
        >>> class_meta(21)['dataset_meta']['classes'][:2]
        ('background', 'aeroplane')
        >>> class_meta(4)
        {}
    """
    if num_classes is None or num_classes not in DATA_SETS:
        return {}
    return {'dataset_meta': read_classes([DATA_SETS[num_classes]])._asdict()}


def convert_checkpoint(
    args: argparse.Namespace, read: Callable[[Path], Converted | dict[str, Tensor]]
) -> Converted:
    """Convert the file that the command line names.

    Args:
        args: ``src`` and ``dst``.
        read: Reads the first file; what it returns is written to the second.

    Raises:
        UsageError: the file is not the one that the converter is for, or cannot be read or
            written.
    """
    try:
        found = read(Path(args.src))
        converted = found if isinstance(found, Converted) else Converted(found)
        meta = class_meta(converted.num_classes)
        save_weights(converted.state_dict, args.dst, source=args.src, meta=meta)
    except (ConversionError, OSError) as error:
        raise UsageError(str(error)) from error
    return converted
