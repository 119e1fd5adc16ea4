"""Batches of pictures of one size, from pictures of any."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')

WAITING = 8  # batches whose pictures may wait for others of their size


def size_batches(
    items: Iterable[Item], size_of: Callable[[Item], Hashable], batch_size: int
) -> Iterator[list[Item]]:
    """Yield lists of items of one size; where sizes mix, in another order.

    Padding to a common size would change what a network sees at the borders, so items wait for
    others of their size, and the largest group goes ahead when too many wait.

    Args:
        items: Of any sizes.
        size_of: Returns the size of an item.
        batch_size: Most items of a list.

    Example:
        >>> list(size_batches(['a', 'bb', 'c', 'dd', 'e'], len, 2))
        [['a', 'c'], ['bb', 'dd'], ['e']]
    """
    groups: dict[Hashable, list[Item]] = {}
    waiting = 0
    for item in items:
        size = size_of(item)
        group = groups.setdefault(size, [])
        group.append(item)
        waiting += 1
        if len(group) < batch_size and waiting >= WAITING * batch_size:
            size = max(groups, key=lambda key: len(groups[key]))
        elif len(group) < batch_size:
            continue
        ready = groups.pop(size)
        waiting -= len(ready)
        yield ready
    yield from groups.values()
