"""Overlays of class activation maps and masks on an image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

IGNORE_COLOR = (224, 224, 192)  # colour of the outlines in VOC masks


def _check_image(name: str, image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f'{name}: image must be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}.'
        )


def draw_cam(image: np.ndarray, cams: np.ndarray, *, alpha: float = 0.5) -> np.ndarray:
    """Draw a class activation map over an image, blue for 0, red for 1.

    Args:
        cams: One normalised map, or several, whose maximum is drawn; clipped to [0, 1].
        alpha: Opacity of the map, 0 to 1.

    Shapes:
        image: ``(H, W, 3)`` uint8, RGB.
        cams: ``(H, W)`` or ``(n, H, W)`` float.
        returns: ``(H, W, 3)`` uint8.

    Raises:
        ValueError: the shapes do not match.
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
    """Draw an index mask over an image; the background is transparent.

    Args:
        palette: RGB of every class, background first.
        alpha: Opacity of the mask, 0 to 1.
        ignore_color: RGB of pixels with ``ignore_index``.

    Shapes:
        image: ``(H, W, 3)`` uint8, RGB.
        mask: ``(H, W)`` integers.
        returns: ``(H, W, 3)`` uint8.

    Raises:
        ValueError: the shapes do not match, or the palette lacks a class of the mask.
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
            f'draw_mask: the mask has the classes {np.unique(mask[known]).tolist()}, but the '
            f'palette has colours for 0 to {len(palette) - 1}.'
        )
    colors = np.empty((*mask.shape, 3), dtype=np.float32)
    colors[known] = np.asarray(palette, dtype=np.float32)[mask[known].astype(np.intp)]
    colors[~known] = ignore_color
    painted = image * (1 - alpha) + colors * alpha
    return np.where((mask == 0)[..., None], image, np.rint(painted)).astype(np.uint8)
