"""Segmentors: one file a method."""

from .cam_tta_model import CAMTTAModel
from .seam import SEAM
from .weak_segmentor import WeakSegmentor

__all__ = ['SEAM', 'CAMTTAModel', 'WeakSegmentor']
