"""Trained models in one call."""

from .prediction import Prediction
from .wsss_inferencer import WSSSInferencer

__all__ = ['Prediction', 'WSSSInferencer']
