"""Metrics, registered in MMSegmentation's registry."""

from .cam_metric import CAMMetric
from .cam_writer import CAMWriter
from .image_label_metric import ImageLabelMetric
from .mask_metric import MaskMetric
from .walk_writer import WalkWriter

__all__ = ['CAMMetric', 'CAMWriter', 'ImageLabelMetric', 'MaskMetric', 'WalkWriter']
