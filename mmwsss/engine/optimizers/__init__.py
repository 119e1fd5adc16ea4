"""Optimiser-wrapper constructors."""

from .weak_optim_wrapper_constructor import WeakOptimWrapperConstructor

__all__ = ['WeakOptimWrapperConstructor']
