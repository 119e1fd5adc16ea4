"""Hashes of the settings of a stage, and differences between settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

SHOWN = 2


def plain(value: Any) -> Any:
    """Return settings as they are after writing and reading JSON.

    Args:
        value: Dicts, lists, tuples and values; types that JSON lacks become strings.

    Example:
        >>> plain(dict(size=(2, 3), kind=int))
        {'size': [2, 3], 'kind': "<class 'int'>"}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value)


def digest(settings: Any) -> str:
    """Return the SHA-256 of settings, independent of the order of keys.

    Args:
        settings: From :func:`plain`.

    Example:
        >>> digest(dict(a=1, b=2)) == digest(dict(b=2, a=1)) != digest(dict(a=1, b=3))
        True
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _flat(value: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Iterate over the values of settings by dotted name."""
    if isinstance(value, Mapping) and value:
        items = list(value.items())
    elif isinstance(value, list) and any(isinstance(item, (list, Mapping)) for item in value):
        items = list(enumerate(value))
    else:
        yield prefix, value
        return
    for key, item in items:
        yield from _flat(item, f'{prefix}.{key}' if prefix else str(key))


def _change(name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    section, _, key = name.partition('.')
    if section == 'data':
        return f'the images or tags of {key} have changed'
    if section == 'weights':
        return f'the file of {key} has changed'
    key = key or section
    if any(other.startswith(f'{name}.') for other in old):
        return f'{key} is now {new[name]}'
    if any(other.startswith(f'{name}.') for other in new):
        return f'{key} was {old[name]}, is other settings'
    if name not in new:
        return f'{key} was {old[name]}, is not set'
    if name not in old:
        return f'{key} was not set, is {new[name]}'
    return f'{key} was {old[name]}, is {new[name]}'


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Describe the first differences between the settings of two runs; ``''`` if equal.

    Args:
        old: Sections of settings: ``config``, ``entry``, ``data``, ``weights`` and others.
        new: The same.

    Example:
        >>> differences(dict(config=dict(walk=dict(beta=8))), dict(config=dict(walk=dict(beta=4))))
        'walk.beta was 8, is 4'
    """
    before, after = dict(_flat(old)), dict(_flat(new))
    absent = object()
    names = [
        name
        for name in sorted(before | after)
        if before.get(name, absent) != after.get(name, absent)
    ]
    # of a group that was replaced by one value its members need not be named
    names = [name for name in names if not any(name.startswith(f'{n}.') for n in names)]
    texts = [_change(name, before, after) for name in names]
    if len(texts) > SHOWN:
        texts[SHOWN:] = [f'and {len(texts) - SHOWN} more settings']
    return ', '.join(texts)
