"""Pictures as the bytes of a file, within what the encoders can write."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mmwsss.utils import limited_size

SIDE_LIMIT = 65500  # of libjpeg


def encode_picture(
    picture: NDArray[np.uint8], suffix: str = '.jpg', options: Sequence[int] = ()
) -> bytes:
    """Encode a picture to be looked at; one with a longer side than JPEG knows is made smaller.

    Args:
        picture: RGB.
        suffix: Of the file, which tells the format.
        options: Of OpenCV's ``imencode``.

    Shapes:
        picture: ``(H, W, 3)`` uint8.
    """
    height, width = picture.shape[:2]
    size = limited_size((width, height), SIDE_LIMIT)
    if size != (width, height):
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(suffix, picture[..., ::-1], list(options))[1].tobytes()
