"""General helpers: errors, files, numbers, names."""

from .errors import (
    FileProblemError,
    ModelMismatchError,
    lacks_memory,
    problem_sentence,
    system_sentence,
    too_small,
    user_sentence,
)
from .io import atomic_write, check_regular, read_content, read_utf8, remove_stale
from .numbers import check_number, number
from .shown import short_list, shown
from .sizes import limited_size

__all__ = [
    'FileProblemError',
    'ModelMismatchError',
    'atomic_write',
    'check_number',
    'check_regular',
    'lacks_memory',
    'limited_size',
    'number',
    'problem_sentence',
    'read_content',
    'read_utf8',
    'remove_stale',
    'system_sentence',
    'too_small',
    'user_sentence',
    'short_list',
    'shown',
]
