"""What a model makes of a picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from mmseg.structures import SegDataSample


class Prediction(NamedTuple):
    """What a model makes of a picture.

    Args:
        place: Of the picture among all, from 0.
        name: Of its files.
        mask: Class indices, ``(H, W)``; None if its files were there and it was left out.
        sample: Everything that the model predicts, None as above.
        overlay: The picture with its mask, ``(H, W, 3)`` uint8 RGB; None where nothing needed it.
        problem: Why there is nothing of a picture that was left out as broken, else None.
    """

    place: int
    name: str
    mask: np.ndarray | None = None
    sample: SegDataSample | None = None
    overlay: np.ndarray | None = None
    problem: str | None = None
