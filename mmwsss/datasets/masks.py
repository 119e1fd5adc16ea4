"""Reading of index masks with the checks that a wrong mask needs."""

from __future__ import annotations

import io
import os
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmwsss.utils import FileProblemError, read_content

from .decoding import decoding_problem

IGNORE_INDEX = 255
# by Pillow's name of the bits in the file: what it multiplies grey levels of fewer bits by
_SPREAD = {'L;4': 17, 'L;2': 85}
MAX_CLASSES = IGNORE_INDEX  # with the background: the values 0 to 254


class MaskError(FileProblemError):
    """A mask file that cannot be used; the text names the file."""


def check_num_classes(number: int, where: str | os.PathLike[str]) -> None:
    """Refuse more classes than a mask can tell from the value that means "ignored".

    Args:
        number: Classes with background.
        where: What has so many, for the error.

    Raises:
        MaskError: there are more than 255.
    """
    if number > MAX_CLASSES:
        raise MaskError(
            f'{os.fspath(where)}: {number} classes with the background, where a mask holds '
            f'{MAX_CLASSES} (values 0 to {MAX_CLASSES - 1}; {IGNORE_INDEX} means ignored): choose '
            'fewer classes.'
        )


def _decode_mask(path: str, content: bytes) -> NDArray[np.uint8]:
    """Return the indices of a palette or greyscale picture."""
    try:
        with warnings.catch_warnings():
            # of Pillow, on pictures that are large or have odd metadata
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(content)) as image:
                mode = image.mode
                raw = next((str(tile[3]) for tile in getattr(image, 'tile', ())), mode)
                if mode in ('P', 'L', '1'):
                    mask = np.array(image, dtype=np.uint8)
                    # Pillow spreads what has fewer bits over all of 0 to 255
                    return mask // _SPREAD.get(raw, 1)
    except Exception as error:  # the decoders of Pillow raise many types
        problem, advice = decoding_problem(error, 'fetch or make the file again.')
        raise MaskError(f'mask {path} {problem}', advice=advice) from error
    raise MaskError(
        f'mask {path} has pixels of mode {mode} where an index (palette or greyscale PNG of at '
        'most 8 bits) is expected',
        advice='convert them to class indices first.',
    )


def read_mask(
    path: str | os.PathLike[str], num_classes: int | None, *, backend_args: dict | None = None
) -> tuple[NDArray[np.uint8], list[int]]:
    """Read an index mask and the values in it.

    Args:
        path: Palette or 8-bit greyscale picture.
        num_classes: Values up to ``num_classes - 1``, and 255 (ignored), are accepted;
            None: all.
        backend_args: Arguments of MMEngine's file backend.

    Shapes:
        returns: ``(H, W)`` uint8, and the sorted values that occur.

    Raises:
        MaskError: missing, truncated, coloured or 16-bit, or values that are no class; more than
            255 classes.
    """
    path = os.fspath(path)
    check_num_classes(num_classes or 0, f'mask {path}')
    try:
        content = read_content(path, backend_args)
    except OSError as error:
        raise MaskError(
            f'mask {path} cannot be read ({error.strerror or error})',
            advice="check data_root and data_prefix['seg_map_path'].",
        ) from error
    mask = _decode_mask(path, content)
    values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()
    if num_classes is not None:
        foreign = [value for value in values if value >= num_classes and value != IGNORE_INDEX]
        if foreign:
            raise MaskError(
                f'mask {path} holds the values {foreign} where 0 to {num_classes - 1} and '
                f'{IGNORE_INDEX} (ignored) are expected',
                advice='correct the mask or the classes.',
            )
    return mask, values
