"""Small helpers that know nothing of networks."""

from .io import atomic_write, remove_stale
from .sizes import limited_size

__all__ = ['atomic_write', 'limited_size', 'remove_stale']
