"""The twenty emblems of the Emblems data set, as silhouettes in the unit disc."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

# twelfths of the circle; the first six are farthest apart, the others lie between them
HUES = (0, 4, 8, 2, 6, 10, 1, 5, 9, 3, 7, 11, 0.5, 4.5, 8.5, 2.5, 6.5, 10.5, 1.5, 5.5)

Plane = NDArray[np.float64]
Silhouette = NDArray[np.bool_]


def _polygon(u: Plane, v: Plane, points: Sequence[tuple[float, float]]) -> Silhouette:
    """Return which points are inside the polygon by the even-odd rule."""
    inside = np.zeros(u.shape, dtype=bool)
    for (u0, v0), (u1, v1) in zip(points, [*points[1:], points[0]], strict=True):
        if v0 == v1:
            continue
        crosses = (v0 > v) != (v1 > v)
        inside ^= crosses & (u < (u1 - u0) * (v - v0) / (v1 - v0) + u0)
    return inside


def _spikes(number: int, inner: float) -> list[tuple[float, float]]:
    """Return the corners of a star; an ``inner`` radius of cos(pi / number) makes it convex."""
    angles = np.pi * np.arange(2 * number) / number
    radii = -np.where(np.arange(2 * number) % 2, inner, 1.0)
    return [
        (float(r * np.sin(a)), float(r * np.cos(a))) for r, a in zip(radii, angles, strict=True)
    ]


def _ring(u: Plane, v: Plane) -> Silhouette:
    return (np.hypot(u, v) <= 1) & (np.hypot(u, v) >= 0.62)


def _cross(u: Plane, v: Plane) -> Silhouette:
    return (np.minimum(abs(u), abs(v)) <= 0.22) & (np.maximum(abs(u), abs(v)) <= 0.95)


def _triangle(u: Plane, v: Plane) -> Silhouette:
    return _polygon(u, v, _spikes(3, 0.5))


def _bars(u: Plane, v: Plane) -> Silhouette:
    return (abs(u) <= 0.65) & (abs(v) <= 0.75) & (abs((v + 0.75) % 0.6 - 0.15) <= 0.15)


def _crescent(u: Plane, v: Plane) -> Silhouette:
    return (np.hypot(u, v) <= 1) & (np.hypot(u - 0.45, v) >= 0.8)


def _star(u: Plane, v: Plane) -> Silhouette:
    return _polygon(u, v, _spikes(5, 0.38))


def _dice(u: Plane, v: Plane) -> Silhouette:
    corners = np.hypot(abs(u) - 0.53, abs(v) - 0.53) <= 0.25
    return corners | (np.hypot(u, v) <= 0.25)


def _hourglass(u: Plane, v: Plane) -> Silhouette:
    return (abs(u) <= 0.8 * abs(v)) & (abs(v) <= 0.78)


def _heart(u: Plane, v: Plane) -> Silhouette:
    x, y = 1.32 * u, 0.15 - 1.32 * v
    return (x**2 + y**2 - 1) ** 3 <= x**2 * y**3


def _target(u: Plane, v: Plane) -> Silhouette:
    r = np.hypot(u, v)
    return (r <= 0.38) | ((r >= 0.72) & (r <= 1))


def _bolt(u: Plane, v: Plane) -> Silhouette:
    points = [
        (0.35, 0.93),
        (-0.65, -0.2),
        (-0.08, -0.17),
        (-0.35, -0.93),
        (0.65, 0.2),
        (0.08, 0.17),
    ]
    return _polygon(u, v, points)


def _pie(u: Plane, v: Plane) -> Silhouette:
    return (np.hypot(u, v) <= 1) & (abs(np.arctan2(v, u)) >= 0.9)


def _propeller(u: Plane, v: Plane) -> Silhouette:
    return np.hypot(u, v) <= 0.25 + 0.75 * np.cos(1.5 * np.arctan2(v, u)) ** 4


def _comb(u: Plane, v: Plane) -> Silhouette:
    box = (abs(u) <= 0.65) & (abs(v) <= 0.72)
    return box & ((u <= -0.3) | (abs((v + 0.72) % 0.576 - 0.144) <= 0.144))


def _wave(u: Plane, v: Plane) -> Silhouette:
    return (abs(v - 0.4 * np.sin(4.5 * u)) <= 0.26) & (abs(u) <= 0.82)


def _arrow(u: Plane, v: Plane) -> Silhouette:
    points = [(0, 1), (0.75, 0.1), (0.22, 0.1), (0.22, -0.95), (-0.22, -0.95), (-0.22, 0.1)]
    return _polygon(u, v, [*points, (-0.75, 0.1)])


def _gear(u: Plane, v: Plane) -> Silhouette:
    r = np.hypot(u, v)
    return (r <= np.where(np.cos(8 * np.arctan2(v, u)) > 0, 1, 0.72)) & (r >= 0.35)


def _window(u: Plane, v: Plane) -> Silhouette:
    edge = np.maximum(abs(u), abs(v))
    return (edge <= 0.7) & ((edge >= 0.5) | (np.minimum(abs(u), abs(v)) <= 0.1))


def _leaf(u: Plane, v: Plane) -> Silhouette:
    return abs(u) <= 0.75 * np.sqrt(np.clip((1 - v) / 2, 0, 1)) * np.clip(1 - v**2, 0, 1)


def _hook(u: Plane, v: Plane) -> Silhouette:
    stem = (abs(u - 0.45) <= 0.22) & (v >= -0.2) & (v <= 0.75)
    bow = (abs(np.hypot(u, v + 0.2) - 0.45) <= 0.22) & (v < -0.2)
    return stem | bow


EMBLEMS: dict[str, Callable[[Plane, Plane], Silhouette]] = dict(
    bars=_bars,
    dice=_dice,
    target=_target,
    window=_window,
    hourglass=_hourglass,
    wave=_wave,
    star=_star,
    ring=_ring,
    comb=_comb,
    cross=_cross,
    propeller=_propeller,
    crescent=_crescent,
    gear=_gear,
    triangle=_triangle,
    bolt=_bolt,
    arrow=_arrow,
    heart=_heart,
    pie=_pie,
    leaf=_leaf,
    hook=_hook,
)


def emblem_hue(index: int) -> float:
    """Return the hue in [0, 1) of the emblem with this index in ``EMBLEMS``."""
    return HUES[index] / 12


def emblem_palette(number: int) -> list[list[int]]:
    """Return the RGB colours of black background and the first ``number`` emblems in masks."""
    colours = (colorsys.hsv_to_rgb(emblem_hue(i), 0.75, 0.95) for i in range(number))
    return [[0, 0, 0], *([round(255 * channel) for channel in c] for c in colours)]


@cache
def unit_area(name: str) -> float:
    """Return the area of an emblem inside the unit disc."""
    axis = (np.arange(256) + 0.5) / 128 - 1
    v, u = np.meshgrid(axis, axis, indexing='ij')
    return 4 * float(EMBLEMS[name](u, v).mean())


def emblem_scale(name: str, area: float) -> float:
    """Return the radius of the disc in which an emblem covers ``area`` square pixels."""
    return float(np.sqrt(area / unit_area(name)))


def draw_emblem(
    name: str,
    shape: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    angle: float,
    *,
    oversampling: int = 4,
) -> NDArray[np.float32]:
    """Draw an emblem with antialiased edges.

    Args:
        name: Key of ``EMBLEMS``.
        shape: Height and width of the picture.
        centre: Row and column.
        radius: Radius of the enclosing disc in pixels.
        angle: Rotation in radians.
        oversampling: Samples per pixel in each direction.

    Shapes:
        returns: ``(H, W)`` float32, the fraction of each pixel covered by the emblem.
    """
    ink = np.zeros(shape, dtype=np.float32)
    top, left = (max(int(np.floor(c - radius)) - 1, 0) for c in centre)
    bottom, right = (
        min(int(np.ceil(c + radius)) + 2, n) for c, n in zip(centre, shape, strict=True)
    )
    if bottom <= top or right <= left:
        return ink
    rows, columns = (
        (np.arange((high - low) * oversampling) + 0.5) / oversampling + low - 0.5 - c
        for low, high, c in ((top, bottom, centre[0]), (left, right, centre[1]))
    )
    y, x = np.meshgrid(rows / radius, columns / radius, indexing='ij')
    cos, sin = np.cos(angle), np.sin(angle)
    inside = EMBLEMS[name](cos * x + sin * y, cos * y - sin * x)
    cells = inside.reshape(bottom - top, oversampling, right - left, oversampling)
    ink[top:bottom, left:right] = cells.mean(axis=(1, 3), dtype=np.float32)
    return ink
