"""Necks between backbone and heads."""

from .hv_bilstm import HVBiLSTM

__all__ = ['HVBiLSTM']
