"""Trained models in one call."""

from .picture_errors import PictureError
from .prediction import Prediction
from .wsss_inferencer import WSSSInferencer

__all__ = ['PictureError', 'Prediction', 'WSSSInferencer']
