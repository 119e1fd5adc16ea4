"""Data preprocessors."""

from .weak_data_preprocessor import WeakDataPreProcessor, valid_mask

__all__ = ['WeakDataPreProcessor', 'valid_mask']
