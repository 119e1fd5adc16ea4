"""What drives a training: optimiser groups and hooks."""

from .hooks import ExactResumeHook, FreezeHook, PaintHook, RandomStartHook
from .optimizers import WeakOptimWrapperConstructor

__all__ = [
    'ExactResumeHook',
    'FreezeHook',
    'PaintHook',
    'RandomStartHook',
    'WeakOptimWrapperConstructor',
]
