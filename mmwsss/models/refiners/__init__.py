"""Refiners: class activation maps to better ones."""

from .cam_walk import CAMWalk
from .dense_crf import DenseCRF
from .limited_dense_crf import LimitedDenseCRF
from .par import PAR
from .pixel_correlation import FeatureCorrelation, PixelCorrelation
from .random_walk import RandomWalk

__all__ = [
    'PAR',
    'CAMWalk',
    'DenseCRF',
    'FeatureCorrelation',
    'LimitedDenseCRF',
    'PixelCorrelation',
    'RandomWalk',
]
