"""Range checks of numbers in settings and on the command line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def check_number(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Check that a number is finite and in the closed range from ``low`` to ``high``.

    Raises:
        ValueError: it is not.

    Example:
        >>> check_number('opacity', 5, 0, 1)
        Traceback (most recent call last):
        ValueError: opacity must be 0 to 1, got 5.
    """
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f'{name} must be {_range(low, high)}, got {value}.')


def _range(low: float, high: float) -> str:
    return f'{low} to {high}' if high < math.inf else f'at least {low}'


def number(kind: type, low: float, high: float = math.inf) -> Callable[[str], float]:
    """Return an ``argparse`` type for a number in a closed range.

    Args:
        kind: ``int`` or ``float``.

    Example:
        >>> number(int, 1)('3')
        3
    """

    def parse(text: str) -> float:
        try:
            value = kind(text)
            check_number('it', value, low, high)
        except (ValueError, OverflowError):
            words = 'a whole number' if kind is int else 'a number'
            raise argparse.ArgumentTypeError(
                f'{text!r} where {words}, {_range(low, high)}, is expected'
            ) from None
        return value

    return parse
