"""Metrics, registered in MMSegmentation's registry."""

from .cam_metric import CAMMetric
from .cam_writer import CAMWriter
from .walk_writer import WalkWriter

__all__ = ['CAMMetric', 'CAMWriter', 'WalkWriter']
