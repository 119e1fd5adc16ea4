"""Names as messages show them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable


def shown(name: object) -> str:
    r"""Return a name as text, quoted and escaped where it holds what cannot be seen.

    Blanks at an end, control and format characters, other blanks than the space, letters in
    Unicode's decomposed form and bytes that are no UTF-8 make names that look alike.

    Args:
        name: Of a file, image or class.

    Example:
        >>> shown('my dog'), shown(' dog'), shown('cafe\u0301')
        ('my dog', "' dog'", "'cafe\\u0301'")
    """
    text = os.fspath(name) if isinstance(name, os.PathLike) else str(name)
    plain = text.isprintable() and unicodedata.is_normalized('NFC', text)
    if plain and text == text.strip() and not text.rpartition('/')[2].startswith(' '):
        return text
    return repr(text) if plain else ascii(text)


def short_list(names: Iterable[object], limit: int = 5) -> str:
    """Return the first names as text, with dots where more follow.

    Args:
        names: What to list.
        limit: How many are written out.

    Example:
        >>> short_list('abc', limit=2)
        'a, b ...'
    """
    texts = [shown(name) for name in names]
    return ', '.join(texts[:limit]) + (' ...' if len(texts) > limit else '')
