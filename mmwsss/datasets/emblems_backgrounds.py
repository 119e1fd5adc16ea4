"""Cluttered backgrounds of the Emblems data set."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Rng = np.random.Generator

BACKGROUNDS = ('clouds', 'planks', 'bricks', 'dots', 'grass', 'ripples', 'gravel', 'weave')


def smooth_noise(rng: Rng, size: int, cells: tuple[int, int]) -> Image:
    """Return smooth noise of about unit range.

    Args:
        size: Height and width in pixels.
        cells: Number of bumps, vertically and horizontally.

    Shapes:
        returns: ``(size, size)`` float32.
    """
    grid = rng.random((cells[0] + 1, cells[1] + 1), dtype=np.float32)
    noise = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(noise, dtype=np.float32)


def _grid(size: int) -> tuple[Image, Image]:
    """Return row and column coordinates in [0, 1]."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    rows, columns = np.meshgrid(axis, axis, indexing='ij')
    return rows.astype(np.float32), columns.astype(np.float32)


def random_colours(
    rng: Rng, number: int, saturation: tuple[float, float], value: tuple[float, float]
) -> Image:
    """Return random colours of any hue.

    Args:
        saturation: Range of the saturation (HSV), in [0, 1].
        value: Range of the value (HSV), in [0, 1].

    Shapes:
        returns: ``(number, 3)`` float32, RGB in [0, 1].
    """
    hue = rng.uniform(0, 6, (number, 1))
    chroma = rng.uniform(*saturation, (number, 1))
    pure = np.clip(abs((hue + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    return (rng.uniform(*value, (number, 1)) * (1 - chroma + chroma * pure)).astype(np.float32)


def _pattern(rng: Rng, size: int, kind: str) -> Image:
    """Return the pattern of a kind of background in [0, 1]."""
    y, x = _grid(size)
    angle, step = rng.uniform(0, np.pi), rng.uniform(0.07, 0.13)
    u = np.cos(angle) * x + np.sin(angle) * y
    v = np.cos(angle) * y - np.sin(angle) * x
    if kind == 'clouds':
        return 0.6 * smooth_noise(rng, size, (5, 5)) + 0.4 * smooth_noise(rng, size, (14, 14))
    if kind == 'planks':
        shades = rng.random(64, dtype=np.float32)
        return shades[np.floor(u / step).astype(int) % 64]
    if kind == 'bricks':
        row = np.floor(y / step)
        joint = (y / step % 1 < 0.15) | ((x / (2 * step) + row % 2 / 2) % 1 < 0.08)
        return np.where(joint, 0, 0.7 + 0.3 * smooth_noise(rng, size, (12, 6))).astype(np.float32)
    if kind == 'dots':
        return (np.hypot(u / step % 1 - 0.5, v / step % 1 - 0.5) < 0.3).astype(np.float32)
    if kind == 'grass':
        return smooth_noise(rng, size, (7, 48))
    if kind == 'ripples':
        middle = rng.uniform(-0.3, 1.3, 2)
        return 0.5 + 0.5 * np.sin(np.hypot(y - middle[0], x - middle[1]) * 4 / step)
    if kind == 'gravel':
        stones = rng.random((70, 2), dtype=np.float32)
        near = ((y[..., None] - stones[:, 0]) ** 2 + (x[..., None] - stones[:, 1]) ** 2).argmin(-1)
        return rng.random(70, dtype=np.float32)[near]
    return 0.5 + 0.25 * (
        np.sin(u * 5 / step) * np.sign(np.sin(v * 2.5 / step)) + np.sin(v * 5 / step)
    )


def _clutter(rng: Rng, image: Image) -> None:
    """Draw small random sticks and pebbles, in place."""
    size = len(image)
    for _ in range(rng.integers(6, 14)):
        colour = random_colours(rng, 1, (0.1, 0.6), (0.1, 1))[0].tolist()
        middle = rng.uniform(0, size, 2)
        corners = middle + rng.uniform(-0.04, 0.04, (rng.integers(3, 6), 2)) * size
        if rng.random() < 0.5:
            corners = np.stack([middle, middle + rng.uniform(-0.12, 0.12, 2) * size])
        points = np.rint(corners * 16).astype(np.int32)
        if len(points) == 2:
            cv2.polylines(image, [points], False, colour, max(size // 80, 1), cv2.LINE_AA, 4)
        else:
            cv2.fillPoly(image, [cv2.convexHull(points)], colour, cv2.LINE_AA, 4)


def draw_background(rng: Rng, size: int, kind: str) -> tuple[Image, list[Image]]:
    """Draw a background without bodies.

    Args:
        size: Height and width in pixels.
        kind: One of ``BACKGROUNDS``.

    Shapes:
        returns: ``(size, size, 3)`` float32, RGB of about [0, 1], and its two colours, each
            ``(3,)`` float32.
    """
    first = random_colours(rng, 1, (0.05, 0.35), (0.3, 0.95))[0]
    second = np.clip(first + rng.uniform(-0.2, 0.2, 3), 0, 1).astype(np.float32)
    share = np.clip(_pattern(rng, size, kind), 0, 1)[..., None].astype(np.float32)
    image = first * share + second * (1 - share)
    image *= 0.8 + 0.4 * smooth_noise(rng, size, (2, 2))[..., None]
    image = np.ascontiguousarray(image)
    _clutter(rng, image)
    return image, [first, second]
