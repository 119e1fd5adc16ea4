"""Reader of image-level labels from a folder of index masks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ..masks import MaskError, read_mask
from .common import LabelFileError, files_of_images


def read_mask_labels(
    path: Path, classes: Sequence[str], images: Collection[str] | None = None
) -> dict[str, tuple[int, ...]]:
    """Read the classes that the masks of a folder show, one ``{image}.png`` an image.

    Meant for making label files, once; training never opens masks.

    Args:
        path: The folder.
        classes: Class names, background first.
        images: Paths or names of the images to read; those without a file get no entry.
            Default: all.

    Raises:
        LabelFileError: a file is no index mask, or has values that are no class.
    """
    labels = {}
    for name, file in files_of_images(path, '.png', images).items():
        try:
            _, values = read_mask(file, len(classes))
        except MaskError as error:
            raise LabelFileError(str(error)) from error
        labels[name] = tuple(value - 1 for value in values if 0 < value < len(classes))
    return labels
