"""What drives a training: optimiser groups, schedules and hooks."""

from .hooks import ExactResumeHook, FreezeHook, PaintHook, RandomStartHook
from .optimizers import WeakOptimWrapperConstructor
from .schedulers import EpochCosineLR

__all__ = [
    'EpochCosineLR',
    'ExactResumeHook',
    'FreezeHook',
    'PaintHook',
    'RandomStartHook',
    'WeakOptimWrapperConstructor',
]
