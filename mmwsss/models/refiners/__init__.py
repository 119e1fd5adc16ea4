"""Refiners: modules that sharpen class activation maps, called as ``refiner(images, maps, ...)``.

``PAR``, ``PAMR``, ``DenseCRF`` and ``LimitedDenseCRF`` use the colours of the images: uint8 RGB
``(N, 3, H, W)``, not normalised. ``PAR`` and ``PAMR`` also take float RGB on any scale, because
they divide colour differences by their standard deviation. ``RandomWalk``, ``CAMWalk`` and
``FeatureCorrelation`` ignore the images and use the third argument, the output of a network.
``PixelCorrelation`` uses both: the normalised images that the network sees, and its features.
"""

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
