"""Trained models in one call."""

from .imagenet_inferencer import ImageNetInferencer
from .picture_errors import PictureError
from .prediction import Prediction
from .wsss_inferencer import WSSSInferencer

__all__ = ['ImageNetInferencer', 'PictureError', 'Prediction', 'WSSSInferencer']
