"""What drives a training: optimiser groups and hooks."""

from .optimizers import WeakOptimWrapperConstructor

__all__ = ['WeakOptimWrapperConstructor']
