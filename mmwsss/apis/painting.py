"""Pictures of what a model has found."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mmwsss.datasets.class_palettes import ClassPalette
from mmwsss.datasets.label_readers.common import BACKGROUND_NAMES
from mmwsss.visualization import draw_cam, draw_mask
from mmwsss.visualization.encoding import SIDE_LIMIT

FONT = cv2.FONT_HERSHEY_SIMPLEX


def _put_text(picture: np.ndarray, text: str, center: tuple[int, int]) -> None:
    """Write white on black around a place, within the picture."""
    height, width = picture.shape[:2]
    scale = max(max(height, width) / 1000, 0.35)
    thick = max(round(1.6 * scale), 1)
    (w, h), base = cv2.getTextSize(text, FONT, scale, thick)
    x = int(np.clip(center[0] - w // 2, 2, max(width - w - 2, 2)))
    y = int(np.clip(center[1] + h // 2, h + 2, max(height - base - 2, h + 2)))
    cv2.rectangle(picture, (x - 2, y - h - 2), (x + w + 2, y + base), (0, 0, 0), -1)
    cv2.putText(picture, text, (x, y), FONT, scale, (255, 255, 255), thick, cv2.LINE_AA)


def _inmost(region: np.ndarray) -> tuple[int, int]:
    """Return column and row in the middle of the pixels of a region farthest from its edge."""
    depth = cv2.distanceTransform(np.pad(region.astype(np.uint8), 1), cv2.DIST_L2, 3)
    ridge = np.argwhere(depth > depth.max() - 1)
    row, column = ridge[((ridge - ridge.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return int(column) - 1, int(row) - 1


def paint_mask(
    image: np.ndarray,
    mask: np.ndarray,
    classes: ClassPalette,
    *,
    opacity: float = 0.6,
    with_labels: bool = True,
) -> np.ndarray:
    """Paint a mask over a picture and name its classes; a background stays as it is.

    Args:
        image: Picture, RGB.
        mask: Class indices.
        classes: Names and colours.
        opacity: How much of the picture the colours cover, 0 to 1.
        with_labels: Whether the name of each class is written where most of it is.

    Shapes:
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` integers.
        returns: ``(H, W, 3)`` uint8.
    """
    names, palette, mask = list(classes.classes), list(classes.palette), mask.astype(np.int64)
    if names[0].lower() not in BACKGROUND_NAMES:
        # index 0 is a class, which has to be painted, too
        names, palette, mask = ['background', *names], [[0, 0, 0], *palette], mask + 1
    # no index is without meaning in a prediction
    painted = draw_mask(image, mask, palette, alpha=opacity, ignore_index=-1)
    if with_labels:
        for index in np.unique(mask[mask > 0]):
            _put_text(painted, names[index], _inmost(mask == index))
    return painted


def paint_cams(
    image: np.ndarray, keys: np.ndarray, cams: np.ndarray, classes: Sequence[str]
) -> np.ndarray:
    """Paint the map of each class over a picture, side by side; the picture where there is none.

    Args:
        image: Picture, RGB.
        keys: Foreground indices of the maps.
        cams: Normalised maps.
        classes: Names, background first.

    Shapes:
        image: ``(H, W, 3)`` uint8.
        keys: ``(n,)`` integers.
        cams: ``(n, H, W)`` float.
        returns: ``(H, max(n, 1) * W, 3)`` uint8, in several rows where that is wider than a
            JPEG file can be.
    """
    panels = []
    for key, cam in zip(keys, cams, strict=True):
        panels.append(draw_cam(image, cam))
        _put_text(panels[-1], classes[key + 1], (image.shape[1] // 2, 0))
    if not panels:
        return image
    # as many side by side as an encoder knows columns, the last row filled up with black
    columns = min(len(panels), max(SIDE_LIMIT // image.shape[1], 1))
    panels += [np.zeros_like(image)] * (-len(panels) % columns)
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])
