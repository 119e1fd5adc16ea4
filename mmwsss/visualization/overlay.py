"""Class activation maps and masks painted over an image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

IGNORE_COLOR = (224, 224, 192)  # VOC's, of the outlines in its masks


def _check_image(name: str, image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f'{name}: image must be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}.'
        )


def draw_cam(image: np.ndarray, cams: np.ndarray, *, alpha: float = 0.5) -> np.ndarray:
    """Paint a class activation map over an image, blue for 0, red for 1.

    Args:
        image: Picture, RGB.
        cams: One normalised map, or several, of which the largest value counts; values
            outside [0, 1] are cut.
        alpha: How much of the picture the colours cover, 0 to 1.

    Shapes:
        image: ``(H, W, 3)`` uint8.
        cams: ``(H, W)`` or ``(n, H, W)`` float.
        returns: ``(H, W, 3)`` uint8.

    Raises:
        ValueError: shapes do not fit.
    """
    _check_image('draw_cam', image)
    cams = np.asarray(cams, dtype=np.float32)
    if cams.shape[-2:] != image.shape[:2] or cams.ndim not in (2, 3):
        raise ValueError(
            f'draw_cam: cams must be (H, W) or (n, H, W) for an image of {image.shape[:2]}, got '
            f'{cams.shape}.'
        )
    if cams.ndim == 3:
        cams = cams.max(axis=0, initial=0)
    values = np.rint(np.clip(cams, 0, 1) * 255).astype(np.uint8)
    heat = cv2.applyColorMap(values, cv2.COLORMAP_JET)[..., ::-1]  # BGR to RGB
    return np.rint(image * (1 - alpha) + heat * alpha).astype(np.uint8)


def draw_mask(
    image: np.ndarray,
    mask: np.ndarray,
    palette: Sequence[Sequence[int]],
    *,
    alpha: float = 0.6,
    ignore_index: int = 255,
    ignore_color: Sequence[int] = IGNORE_COLOR,
) -> np.ndarray:
    """Paint an index mask over an image; the background stays as it is.

    Args:
        image: Picture, RGB.
        mask: Class indices.
        palette: RGB of every class, background first.
        alpha: How much of the picture the colours cover, 0 to 1.
        ignore_index: Value for "not known".
        ignore_color: RGB of such pixels.

    Shapes:
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` integers.
        returns: ``(H, W, 3)`` uint8.

    Raises:
        ValueError: shapes do not fit, or the palette lacks a class of the mask.
    """
    _check_image('draw_mask', image)
    mask = np.asarray(mask)
    if mask.shape != image.shape[:2]:
        raise ValueError(
            f'draw_mask: mask must be (H, W) for an image of {image.shape[:2]}, got {mask.shape}.'
        )
    known = mask != ignore_index
    if known.any() and not 0 <= mask[known].min() <= mask[known].max() < len(palette):
        raise ValueError(
            f'draw_mask: the mask has the classes {np.unique(mask[known]).tolist()}, the palette '
            f'colours for 0 to {len(palette) - 1}.'
        )
    colors = np.empty((*mask.shape, 3), dtype=np.float32)
    colors[known] = np.asarray(palette, dtype=np.float32)[mask[known].astype(np.intp)]
    colors[~known] = ignore_color
    painted = image * (1 - alpha) + colors * alpha
    return np.where((mask == 0)[..., None], image, np.rint(painted)).astype(np.uint8)
