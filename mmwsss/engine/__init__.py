"""What drives a training: optimiser groups and hooks."""

from .hooks import ExactResumeHook
from .optimizers import WeakOptimWrapperConstructor

__all__ = ['ExactResumeHook', 'WeakOptimWrapperConstructor']
