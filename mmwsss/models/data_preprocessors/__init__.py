"""Data preprocessors."""

from .weak_data_preprocessor import WeakDataPreProcessor

__all__ = ['WeakDataPreProcessor']
