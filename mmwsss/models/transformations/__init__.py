"""Transformations of a batch of images and, alike, of their maps."""

from .equivariant import (
    EquivariantFlip,
    EquivariantRescale,
    EquivariantRotate,
    EquivariantTranslate,
    Transformed,
)

__all__ = [
    'EquivariantFlip',
    'EquivariantRescale',
    'EquivariantRotate',
    'EquivariantTranslate',
    'Transformed',
]
