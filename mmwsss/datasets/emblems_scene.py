"""Scenes of the Emblems data set: cluttered backgrounds, bodies and the emblems on them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .emblems_backgrounds import (
    BACKGROUNDS,
    Image,
    Rng,
    draw_background,
    random_colours,
    smooth_noise,
)
from .emblems_shapes import EMBLEMS, draw_emblem, emblem_scale

EMBLEM_SHARE = (0.055, 0.075)  # fraction of the area of the body
EMBLEM_OFFSET = (0.45, 0.95)  # distance from the centre of the body, in radii
EMBLEM_TURN = 0.5  # maximum rotation in radians, to either side
BODY_RADIUS = (0.29, 0.39)  # radius of the disc of equal area, as a fraction of the image side
BODY_STRETCH = (1.2, 1.6)  # of one axis; the other is divided by the same factor
BODY_LOBES = (0.05, 0.3)
BODY_CONTRAST = 0.4  # Euclidean distance in RGB, [0, 1]
MIN_VISIBLE = 0.58  # fraction of the area of a body
TRIES = 20
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
CIRCLE = np.stack([np.sin(np.arange(8) * np.pi / 4), np.cos(np.arange(8) * np.pi / 4)], axis=1)


@dataclass
class Body:
    """A blob in the scene.

    Args:
        label: Index of its emblem, None without an emblem.
        area: Area of the whole body in pixels, including hidden parts.
        cover: Fraction of each pixel covered by the body, ignoring occlusion.
        ink: Fraction of each pixel covered by its emblem, None without an emblem.
        colour: RGB in [0, 1].
        ink_colour: RGB of the emblem in [0, 1].

    Shapes:
        cover: ``(H, W)`` float32, like ``ink``.
        colour: ``(3,)`` float32, like ``ink_colour``.
    """

    label: int | None
    area: float
    cover: Image
    ink: Image | None
    colour: Image
    ink_colour: Image | None


@dataclass(frozen=True)
class Scene:
    """A drawn image with its ground truth.

    Args:
        mask: 0 for background, k + 1 for bodies with emblem k; bodies without emblem are
            background.
        bodies: 0 for none, i + 1 for the i-th body, with or without emblem.
        emblems: Pixels mostly covered by an emblem.
        labels: Sorted indices of the emblems in the image.
        background: One of ``BACKGROUNDS``.

    Shapes:
        image: ``(H, W, 3)`` uint8, RGB.
        mask: ``(H, W)`` uint8, like ``bodies``.
        emblems: ``(H, W)`` bool.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    bodies: NDArray[np.uint8]
    emblems: NDArray[np.bool_]
    labels: tuple[int, ...]
    background: str


def _far_colour(rng: Rng, others: list[Image], distance: float) -> Image:
    """Return a random colour at least ``distance`` from others, or the farthest of 24 samples."""
    candidates = random_colours(rng, 24, (0.1, 0.55), (0.2, 1))
    best, best_distance = candidates[0], -1.0
    for colour in candidates:
        nearest = min(float(np.linalg.norm(colour - other)) for other in others)
        if nearest > best_distance:
            best, best_distance = colour, nearest
        if nearest >= distance:
            break
    return best


def _blob(rng: Rng, size: int) -> tuple[Image, tuple[float, float], float]:
    """Return the cover of a random blob, its centre (row, column) and its area in pixels."""
    radius = rng.uniform(*BODY_RADIUS) * size
    middle = rng.uniform(0.1, 0.9, 2) * size
    stretch, turn = rng.uniform(*BODY_STRETCH), rng.uniform(0, np.pi)
    y, x = np.ogrid[:size, :size]
    point = (x - middle[1]) + 1j * (y - middle[0]).astype(np.complex64)
    point = (point * np.exp(-1j * turn)).astype(np.complex64)
    point = (point.real / stretch + 1j * point.imag * stretch).astype(np.complex64)
    distance = np.abs(point)
    unit = point / np.maximum(distance, 1e-3)
    # a Fourier series of the angle, evaluated by Horner's rule
    waves = rng.uniform(*BODY_LOBES, 4) / (2, 3, 4, 5) * np.exp(2j * np.pi * rng.random(4))
    edge = np.zeros_like(unit)
    for wave in waves[::-1].astype(np.complex64):
        edge = (edge + wave) * unit
    edge = 1 + (edge * unit).real
    cover = np.clip(radius * edge - distance + 0.5, 0, 1).astype(np.float32)
    return cover, (float(middle[0]), float(middle[1])), float(np.pi * radius**2)


def _emblem(
    rng: Rng, label: int, cover: Image, middle: tuple[float, float], area: float
) -> Image | None:
    """Return the ink of an emblem inside a body, or None after too many failed tries."""
    name = list(EMBLEMS)[label]
    radius = emblem_scale(name, area * rng.uniform(*EMBLEM_SHARE))
    for _ in range(TRIES):
        angle, way = rng.uniform(-EMBLEM_TURN, EMBLEM_TURN), rng.uniform(0, 2 * np.pi)
        offset = rng.uniform(*EMBLEM_OFFSET) * np.sqrt(area / np.pi)
        centre = (middle[0] + offset * np.sin(way), middle[1] + offset * np.cos(way))
        if not all(radius <= c <= n - 1 - radius for c, n in zip(centre, cover.shape, strict=True)):
            continue
        around = centre + 0.9 * radius * CIRCLE
        if cover[tuple(np.rint(around).astype(int).T)].min() < 1:
            continue
        ink = draw_emblem(name, cover.shape, centre, radius, angle)
        if float((ink * (cover < 1)).max()) == 0:
            return ink
    return None


def _fits(body: Body, placed: list[Body]) -> bool:
    """Return whether a new body in front and all bodies behind it are visible enough."""
    front = body.cover > 0
    if any(other.ink is not None and (front & (other.ink > 0)).any() for other in placed):
        return False
    free = np.ones(front.shape, dtype=bool)
    for other in (body, *reversed(placed)):
        shape = other.cover > 0.5
        if (shape & free).sum() < MIN_VISIBLE * other.area:
            return False
        free &= ~shape
    return True


def _place(
    rng: Rng, size: int, label: int | None, placed: list[Body], colours: list[Image]
) -> None:
    """Add a body in front of the placed ones, if a suitable position is found."""
    colour = _far_colour(rng, [*colours, *(body.colour for body in placed)], BODY_CONTRAST)
    ink_colour = None
    if label is not None:
        # dark on light bodies, light on dark ones
        value = (0, 0.15) if colour @ LUMA > 0.5 else (0.85, 1)
        ink_colour = random_colours(rng, 1, (0, 0.3), value)[0]
    for _ in range(TRIES):
        cover, middle, area = _blob(rng, size)
        body = Body(label, area, cover, None, colour, ink_colour)
        if not _fits(body, placed):
            continue
        if label is not None:
            body.ink = _emblem(rng, label, cover, middle, area)
        if label is None or body.ink is not None:
            placed.append(body)
            return


def _paint(rng: Rng, image: Image, body: Body) -> Image:
    """Draw a body over the image."""
    size = len(image)
    cells = [(4, 4), (12, 12), (3, 30), (40, 40)][rng.integers(4)]
    texture = 1 + rng.uniform(0.1, 0.25) * (smooth_noise(rng, size, cells) - 0.5)
    colour = body.colour * texture[..., None]
    if body.ink is not None:
        colour = colour + body.ink[..., None] * (body.ink_colour - colour)
    return (image + body.cover[..., None] * (colour - image)).astype(np.float32)


def _labels(rng: Rng, num_emblems: int) -> list[int | None]:
    """Return the labels of the bodies to place, back to front; None for bodies without emblem."""
    objects = rng.choice((1, 2, 3), p=(0.35, 0.4, 0.25))
    labels: list[int | None] = rng.integers(0, num_emblems, objects).tolist()
    labels += [None] * int(rng.choice((0, 1, 2), p=(0.4, 0.4, 0.2)))
    return [labels[i] for i in rng.permutation(len(labels))]


def draw_scene(rng: Rng, size: int, num_emblems: int, *, context: float = 0.0) -> Scene:
    """Draw a scene; equal states of ``rng`` give equal scenes.

    Args:
        size: Height and width in pixels.
        num_emblems: Use only the first ones of ``EMBLEMS``.
        context: Probability that the background is the kind associated with an emblem of the
            image (emblem k with kind k modulo the number of kinds) instead of a random kind.
    """
    labels = _labels(rng, num_emblems)
    kind = int(rng.integers(len(BACKGROUNDS)))
    shown = [label for label in labels if label is not None]
    if rng.random() < context:
        kind = shown[0] % len(BACKGROUNDS)
    image, colours = draw_background(rng, size, BACKGROUNDS[kind])
    placed: list[Body] = []
    for label in labels:
        _place(rng, size, label, placed, colours)
    while all(body.label is None for body in placed):
        placed.clear()
        _place(rng, size, shown[0], placed, colours)
    for body in placed:
        image = _paint(rng, image, body)
    # blur and noise of a camera
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5), dtype=np.float32)
    image += rng.normal(0, 0.015, image.shape).astype(np.float32)
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return Scene(levels, *_truth(placed, size), background=BACKGROUNDS[kind])


def _truth(
    placed: list[Body], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_], tuple[int, ...]]:
    """Return mask, bodies, emblems and labels of the placed bodies."""
    mask = np.zeros((size, size), dtype=np.uint8)
    bodies, emblems = mask.copy(), np.zeros((size, size), dtype=bool)
    for i, body in enumerate(placed):
        front = body.cover > 0.5
        mask[front] = 0 if body.label is None else body.label + 1
        bodies[front] = i + 1
        emblems[front] = False if body.ink is None else body.ink[front] > 0.5
    labels = sorted({body.label for body in placed if body.label is not None})
    return mask, bodies, emblems, tuple(labels)
