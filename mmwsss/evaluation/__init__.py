"""Evaluation of class activation maps and masks, and the files of maps."""

from .cam_curve import CAMCurve, cam_curve, cam_histogram
from .cam_files import CAMFileError, read_cam_file, write_cam_file
from .curve_files import read_curve, write_curve
from .mask_scores import install_exact_counts
from .metrics import CAMMetric, CAMWriter, ImageLabelMetric, MaskMetric, WalkWriter
from .predictions import PredictionError
from .seg_evaluator import SegEvaluator

__all__ = [
    'CAMCurve',
    'CAMFileError',
    'CAMMetric',
    'CAMWriter',
    'ImageLabelMetric',
    'MaskMetric',
    'PredictionError',
    'SegEvaluator',
    'WalkWriter',
    'cam_curve',
    'cam_histogram',
    'install_exact_counts',
    'read_cam_file',
    'read_curve',
    'write_cam_file',
    'write_curve',
]
