"""What drives a training: optimiser groups and hooks."""

from .hooks import ExactResumeHook, FreezeHook
from .optimizers import WeakOptimWrapperConstructor

__all__ = ['ExactResumeHook', 'FreezeHook', 'WeakOptimWrapperConstructor']
