"""Numeric kernels behind refiners and losses: tensors in, tensors out."""

from .cam import background_score, keep_maximum, max_norm, normalize_cam
from .pixel_correlation import pixel_correlation

__all__ = ['background_score', 'keep_maximum', 'max_norm', 'normalize_cam', 'pixel_correlation']
