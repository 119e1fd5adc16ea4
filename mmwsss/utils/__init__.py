"""Small helpers that know nothing of networks."""

from .errors import FileProblemError, problem_sentence
from .io import atomic_write, remove_stale
from .sizes import limited_size

__all__ = [
    'FileProblemError',
    'atomic_write',
    'limited_size',
    'problem_sentence',
    'remove_stale',
]
