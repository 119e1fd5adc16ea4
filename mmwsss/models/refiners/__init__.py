"""Refiners: class activation maps to better ones."""

from .cam_walk import CAMWalk
from .dense_crf import DenseCRF
from .feature_correlation import FeatureCorrelation
from .limited_dense_crf import LimitedDenseCRF
from .pamr import PAMR
from .par import PAR
from .pixel_correlation import PixelCorrelation
from .random_walk import RandomWalk
from .refine_scores import refine_scores

__all__ = [
    'PAMR',
    'PAR',
    'CAMWalk',
    'DenseCRF',
    'FeatureCorrelation',
    'LimitedDenseCRF',
    'PixelCorrelation',
    'RandomWalk',
    'refine_scores',
]
