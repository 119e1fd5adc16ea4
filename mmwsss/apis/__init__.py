"""Trained models in one call."""

from .imagenet_inferencer import ImageNetInferencer
from .prediction import Prediction
from .wsss_inferencer import WSSSInferencer

__all__ = ['ImageNetInferencer', 'Prediction', 'WSSSInferencer']
