"""Names of settings: those that there are, and the nearest one of a name that is none."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mmengine.runner import Runner
from mmseg import registry
from torch.utils.data import DataLoader

from mmwsss.utils import short_list

# of a config's first level: what the tools, MMSegmentation and MMEngine read beside the Runner's
FURTHER = (
    *('default_scope', 'custom_imports', 'runner_type', 'find_unused_parameters', 'sync_bn'),
    *('model_wrapper_cfg', 'tta_model', 'tta_pipeline', 'test_pipeline', 'auto_scale_lr', 'walk'),
    *('env_cfg', 'log_processor', 'log_level', 'work_dir', 'randomness', 'data_root'),
)
NEAR, NEARER = 0.75, 0.85


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """Return a question that offers the nearest name, '' where none is near.

    Args:
        name: A name that is none.
        names: Those that there are.
        cutoff: How near, 0 to 1.

    Example:
        >>> nearest('max_itres', ['max_iters', 'val_interval'])
        " (did you mean 'max_iters'?)"
    """
    found = difflib.get_close_matches(name, list(names), 1, cutoff)
    return f' (did you mean {found[0]!r}?)' if found else ''


def _parameters(function: Any) -> tuple[set[str], bool]:
    """Return the names of the parameters of a class, its bases among them, and if it has more."""
    names: set[str] = set()
    for cls in inspect.getmro(function) if inspect.isclass(function) else ():
        if '__init__' not in vars(cls):
            continue
        parameters = inspect.signature(cls.__init__).parameters.values()
        names |= {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        if all(p.kind != p.VAR_KEYWORD for p in parameters):
            return names, False
    return names, True


def _class(kind: Any) -> Any:
    """Return the class that a type names, None where it is not known."""
    if not isinstance(kind, str):
        return kind
    for name in dir(registry):
        if name.isupper() and hasattr(found := getattr(registry, name), 'module_dict'):
            with suppress(Exception):
                if cls := found.get(kind):
                    return cls
    return None


def _accepted(place: str, node: Mapping[str, Any]) -> tuple[set[str], bool]:
    """Return the names that a part of a config may have, and whether it may have others."""
    if not place:
        return {*node, *inspect.signature(Runner.__init__).parameters, *FURTHER}, False
    names, more = set(node), True
    if 'type' in node and (cls := _class(node['type'])) is not None:
        found, more = _parameters(cls)
        names |= found
    elif place.endswith('dataloader'):
        names |= set(inspect.signature(DataLoader.__init__).parameters)
    return names - {'self'}, more


def wrong_key(key: str, cfg: Any, known: Collection[str] = ()) -> str:
    """Return what is wrong with the dotted key of an override, '' where nothing is.

    A key that is not in the config has to be a parameter of the class that its part of the config
    names; where that is not known, it may not look like a mistyped one.

    Args:
        key: As ``--cfg-options`` take it.
        cfg: The config.
        known: All names of the first level, where it is no config of MMEngine.

    Example:
        >>> wrong_key('train_cfg.max_itres', dict(train_cfg=dict(max_iters=4)))
        "train_cfg has no 'max_itres' (did you mean 'max_iters'?)"
    """
    # a Config is no mapping, what it holds is
    node, place = getattr(cfg, '_cfg_dict', cfg), ''
    for part in key.split('.'):
        if isinstance(node, Sequence) and not isinstance(node, str):
            if not part.lstrip('-').isdigit() or not -len(node) <= int(part) < len(node):
                last = len(node) - 1
                return f'{place} is a list, which takes a number from 0 to {last}, not {part!r}'
            node = node[int(part)]
        elif isinstance(node, Mapping):
            if part not in node:
                return _unknown(part, place, node, known)
            node = node[part]
        elif node is None:
            return ''
        else:
            return f'{place} is {str(node)[:60]!r}, which has no {part!r}'
        place = f'{place}.{part}' if place else part
    return ''


def _unknown(part: str, place: str, node: Mapping, known: Collection[str]) -> str:
    # a stage of a pipeline says itself what it takes, of which its entry may name a part
    if re.fullmatch(r'stages\.[^.]+', place):
        return ''
    names, more = _accepted(place, node)
    if known and not place:
        names, more = {*known, *node}, False
    if part in names:
        return ''
    guess = nearest(part, sorted(names), NEAR if more else 0.6)
    if more and not guess:
        return ''
    there = (
        '' if guess else f'; there are {short_list(sorted(map(str, names if place else node)), 12)}'
    )
    return f'{place or "the config"} has no {part!r}{guess}{there}'


def mistyped_names(cfg: Mapping[str, Any], known: Collection[str] = ()) -> str:
    """Return what is wrong with the first level of a config that was read, '' where nothing is.

    A config may have variables of its own, so only what looks like a mistyped name is one.

    Args:
        cfg: The config.
        known: As of :func:`wrong_key`.
    """
    names = set(known) or {*inspect.signature(Runner.__init__).parameters, *FURTHER}
    for key in cfg:
        if key not in names and (guess := nearest(key, sorted(names - set(cfg)), NEARER)):
            return f'it has {key!r}, which nothing reads{guess}'
    return ''
