"""Spatial transformations of a batch of images and of its maps."""

from .equivariant import (
    EquivariantCompose,
    EquivariantFlip,
    EquivariantRescale,
    EquivariantRotate,
    EquivariantTranslate,
    Transformed,
)
from .patch_view import RandomPatchView

__all__ = [
    'EquivariantCompose',
    'EquivariantFlip',
    'EquivariantRescale',
    'EquivariantRotate',
    'EquivariantTranslate',
    'RandomPatchView',
    'Transformed',
]
