"""Names of the 1,000 classes of ImageNet-1k, with their synonyms.

The names are those of WordNet in the order of ILSVRC 2012. Where two classes have the same first
name, such as the bird and the machine called crane, an addition tells them apart.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from mmwsss.utils import short_list

from .label_readers.common import LabelFileError

FILE = Path(__file__).with_suffix('.json')


def _plain(name: str) -> str:
    """Return a name as it is compared: neither case, blanks nor underscores matter."""
    return ' '.join(name.replace('_', ' ').split()).casefold()


@cache
def imagenet_classes() -> tuple[tuple[str, ...], ...]:
    """Return the names of each class, the first one its own.

    Example:
        >>> len(imagenet_classes()), imagenet_classes()[281]
        (1000, ('tabby', 'tabby cat'))
    """
    return tuple(tuple(names) for names in json.loads(FILE.read_text(encoding='utf-8')))


@cache
def _indices() -> Mapping[str, tuple[int, ...]]:
    """Return the classes that each name may mean; a first name means its class alone."""
    found: dict[str, list[int]] = {}
    for index, names in enumerate(imagenet_classes()):
        for name in dict.fromkeys((*map(_plain, names), _plain(', '.join(names)))):
            found.setdefault(name, []).append(index)
    found |= {_plain(names[0]): [index] for index, names in enumerate(imagenet_classes())}
    return MappingProxyType({name: tuple(indices) for name, indices in found.items()})


def _nearest(name: str) -> str:
    """Return the names of the classes that may be meant."""
    # "cat" is a word of "Egyptian cat", which is not spelled alike
    known = [other for other in _indices() if _plain(name) in other.split()]
    known += difflib.get_close_matches(_plain(name), _indices(), 8)
    own = [imagenet_classes()[index][0] for other in known for index in _indices()[other]]
    return short_list(dict.fromkeys(own), 8) or 'there is none'


def imagenet_index(name: str) -> int:
    """Return the index of a class, 0 to 999.

    Args:
        name: Any of its names, or all of them as ImageNet lists them, separated by commas.

    Raises:
        LabelFileError: no class is called so, or several are; the text offers names.

    Example:
        >>> imagenet_index('tabby'), imagenet_index('Tabby Cat'), imagenet_index('tabby, tabby cat')
        (281, 281, 281)
    """
    found = _indices().get(_plain(name), ())
    if len(found) == 1:
        return found[0]
    if found:
        choices = ' or '.join(repr(imagenet_classes()[index][0]) for index in found)
        raise LabelFileError(f'ImageNet has several classes {name!r}: write {choices}.')
    raise LabelFileError(
        f'ImageNet has no class {name!r}: take one of the nearest ({_nearest(name)}), see '
        f'{FILE.name}, or train a model of your classes.'
    )


def imagenet_indices(names: Iterable[str]) -> list[int]:
    """Return the indices of classes, each of which is named once.

    Args:
        names: One of the names of each.

    Raises:
        LabelFileError: a name is unknown or ambiguous, or two are of the same class.

    Example:
        >>> imagenet_indices(['tabby', 'espresso'])
        [281, 967]
    """
    first: dict[int, str] = {}
    for name in names:
        other = first.setdefault(imagenet_index(name), name)
        if other != name:
            raise LabelFileError(
                f'{other!r} and {name!r} are the same class of ImageNet: write one of them '
                'everywhere.'
            )
    return list(first)
