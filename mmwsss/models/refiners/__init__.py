"""Refiners: class activation maps to better ones."""

from .pixel_correlation import PixelCorrelation

__all__ = ['PixelCorrelation']
