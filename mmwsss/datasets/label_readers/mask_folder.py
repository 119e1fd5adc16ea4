"""Reader of image-level labels from a folder of index masks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ..masks import MaskError, read_mask
from .common import LabelFileError


def read_mask_labels(
    path: Path, classes: Sequence[str], images: Collection[str] | None = None
) -> dict[str, tuple[int, ...]]:
    """Read the classes that the masks of a folder show, one ``{image}.png`` an image.

    Meant for making label files, once; training never opens masks.

    Args:
        path: The folder.
        classes: Class names, background first.
        images: Ids of the images to read; those without a file get no entry. Default: all.

    Raises:
        LabelFileError: a file is no index mask, or has values that are no class.
    """
    names = sorted(file.stem for file in path.glob('*.png'))
    if images is not None:
        present = set(names)
        names = [name for name in images if name in present]
    labels = {}
    for name in names:
        try:
            _, values = read_mask(path / f'{name}.png', len(classes))
        except MaskError as error:
            raise LabelFileError(str(error)) from error
        labels[name] = tuple(value - 1 for value in values if 0 < value < len(classes))
    return labels
