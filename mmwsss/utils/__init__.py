"""Small helpers that know nothing of networks."""

from .io import atomic_write, remove_stale

__all__ = ['atomic_write', 'remove_stale']
