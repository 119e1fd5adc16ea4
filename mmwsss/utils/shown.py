"""Formatting of names in messages."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable


def shown(name: object) -> str:
    r"""Return a name as text, quoted and escaped if it contains invisible characters.

    Names are quoted if they could look like another name: with leading or trailing blanks, control
    characters, blanks other than the space, decomposed Unicode or bytes that are not UTF-8.

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
    """Return the first ``limit`` names as text, followed by dots if there are more.

    Example:
        >>> short_list('abc', limit=2)
        'a, b ...'
    """
    texts = [shown(name) for name in names]
    return ', '.join(texts[:limit]) + (' ...' if len(texts) > limit else '')
