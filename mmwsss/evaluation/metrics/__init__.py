"""Metrics, registered in MMSegmentation's registry."""

from .cam_metric import CAMMetric
from .cam_writer import CAMWriter

__all__ = ['CAMMetric', 'CAMWriter']
