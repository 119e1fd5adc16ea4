"""Small helpers that know nothing of networks."""

from .errors import (
    FileProblemError,
    ModelMismatchError,
    lacks_memory,
    problem_sentence,
    system_sentence,
    user_sentence,
)
from .io import atomic_write, remove_stale
from .shown import short_list, shown
from .sizes import limited_size

__all__ = [
    'FileProblemError',
    'ModelMismatchError',
    'atomic_write',
    'lacks_memory',
    'limited_size',
    'problem_sentence',
    'remove_stale',
    'system_sentence',
    'user_sentence',
    'short_list',
    'shown',
]
