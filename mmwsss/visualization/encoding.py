"""Encoding of pictures within the limits of the encoders."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mmwsss.utils import limited_size

SIDE_LIMIT = 65500  # limit of libjpeg


def encode_picture(
    picture: NDArray[np.uint8], suffix: str = '.jpg', options: Sequence[int] = ()
) -> bytes:
    """Encode a picture for viewing; it is downscaled if a side exceeds the limit of JPEG.

    Args:
        suffix: Extension of the format.
        options: Options of OpenCV's ``imencode``.

    Shapes:
        picture: ``(H, W, 3)`` uint8, RGB.
    """
    height, width = picture.shape[:2]
    size = limited_size((width, height), SIDE_LIMIT)
    if size != (width, height):
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(suffix, picture[..., ::-1], list(options))[1].tobytes()
