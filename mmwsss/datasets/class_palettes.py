"""Classes with their colours, and index masks written in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmwsss.utils import atomic_write, system_sentence

from .class_names import class_names
from .emblems import read_description
from .masks import MaskError, check_num_classes
from .palette import voc_palette

NUM_COLORS = 256  # of a palette PNG


class ClassPalette(NamedTuple):
    """Names and colours of the classes, background first.

    Args:
        classes: Names.
        palette: One RGB colour a class.
    """

    classes: tuple[str, ...]
    palette: list[list[int]]


def read_classes(words: Sequence[str], data_root: str | None = None) -> ClassPalette:
    """Return the classes of a data set with its colours, or those of VOC where it has none.

    Args:
        words: Names as :func:`~mmwsss.datasets.class_names.class_names` takes them.
        data_root: Folder of an Emblems data set, whose classes count instead.

    Raises:
        LabelFileError: the words name no classes.
        MaskError: they are more than a mask holds.
        FileNotFoundError: the folder is no Emblems data set.
        ValueError: its description is damaged.

    Example:
        >>> read_classes(['dog'])
        ClassPalette(classes=('background', 'dog'), palette=[[0, 0, 0], [128, 0, 0]])
    """
    if data_root is not None:
        found = read_description(data_root)
        return ClassPalette(tuple(found['classes']), found['palette'])
    classes = class_names(words)
    check_num_classes(len(classes), f'classes {words[0]} ...' if len(words) > 1 else words[0])
    # METAINFO of VOC and COCO has these, too
    return ClassPalette(classes, voc_palette(len(classes)))


def write_mask_file(
    path: str | os.PathLike[str], mask: NDArray[np.uint8], palette: Sequence[Sequence[int]] = ()
) -> None:
    """Write an index mask as a palette PNG, whole or not at all.

    Args:
        path: File to write.
        mask: Class indices, 255 ignored.
        palette: RGB colours of the classes; the other values get those of VOC.

    Shapes:
        mask: ``(H, W)`` uint8.

    Raises:
        MaskError: the file cannot be written, or has more classes than a mask holds.
    """
    check_num_classes(len(palette), f'mask {path}')
    image = Image.fromarray(mask)
    colors = [*palette, *voc_palette(NUM_COLORS)[len(palette) :]]
    image.putpalette([channel for color in colors for channel in color])
    try:
        with atomic_write(path) as file:
            image.save(file, format='PNG')
    except OSError as error:
        sentence = system_sentence(error) or f'{path} cannot be written ({error}).'
        raise MaskError(f'mask {sentence}') from error
