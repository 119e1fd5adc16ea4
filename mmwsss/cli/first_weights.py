"""Named weights with which models begin: fetched before a training, or left out with a warning."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mmengine.config import Config

from mmwsss.models.pretrained import (
    MissingWeightsError,
    find_file,
    find_weights,
    load_pretrained,
    named,
)


def weight_names(model: Any) -> dict[str, str]:
    """Return the names of pretrained weights in a config, by the dotted name of the part.

    Args:
        model: Config of a model or a part of it.

    Example:
        >>> init_cfg = dict(type='Pretrained', checkpoint='mmwsss://mit-b1')
        >>> weight_names(dict(backbone=dict(type='AttentionMiT', init_cfg=init_cfg)))
        {'backbone': 'mmwsss://mit-b1'}
    """
    if isinstance(model, Mapping):
        items: Iterable[tuple[Any, Any]] = model.items()
        name = named(str(model.get('checkpoint', '')))
        found = {'': name} if name else {}
    elif isinstance(model, (list, tuple)):
        items, found = enumerate(model), {}
    else:
        return {}
    for key, value in items:
        for inner, name in weight_names(value).items():
            found['.'.join(part for part in (str(key), inner) if part != 'init_cfg' and part)] = (
                name
            )
    return found


def without_weights(model: Any, names: Collection[str]) -> Any:
    """Return a config whose parts do not ask for some weights; it is not changed.

    Args:
        model: Config of a model or a part of it.
        names: Of the weights, with ``mmwsss://``.

    Example:
        >>> init_cfg = dict(type='Pretrained', checkpoint='mmwsss://mit-b1')
        >>> without_weights(dict(depth=3, init_cfg=init_cfg), ['mmwsss://mit-b1'])
        {'depth': 3}
    """

    def asks(value: Any) -> bool:
        return isinstance(value, Mapping) and named(str(value.get('checkpoint', ''))) in names

    if isinstance(model, Mapping):
        return {k: without_weights(x, names) for k, x in model.items() if not asks(x)}
    if isinstance(model, (list, tuple)):
        return type(model)(without_weights(x, names) for x in model if not asks(x))
    return model


def require_weights(names: Iterable[str], *, download: bool = True) -> None:
    """Make sure that weights are here, or could be.

    Args:
        names: Of the weights.
        download: Whether to get what is not here; else it is enough that it has an address.

    Raises:
        MissingWeightsError: some are not here and cannot be had.
        CheckpointError: there is no such name, or a file is damaged.
    """
    for name in sorted(set(names)):
        if download or (find_file(name) is None and not find_weights(name).urls):
            load_pretrained(name)


def settle_weights(cfg: Config) -> None:
    """Get the weights with which a training begins; go on without those that cannot be had.

    The training then warns of it, at the start and at the end of its log. Where it goes on from a
    checkpoint nothing is fetched, for that replaces them.

    Args:
        cfg: Config of a training, changed in place.

    Raises:
        CheckpointError: there is no such name, or a file of the user is damaged.
    """
    places = weight_names(cfg.model)
    missing: dict[str, str] = {}
    for name in dict.fromkeys(places.values()):
        try:
            if not cfg.get('load_from'):
                load_pretrained(name)
            elif find_file(name) is None:
                missing[name] = ''
        except MissingWeightsError as error:
            parts = ', '.join(f'model.{place}' for place, other in places.items() if other == name)
            missing[name] = (
                f'{error} {parts} starts from random weights, which is far from the published '
                'figures.'
            )
    if missing:
        cfg.model = without_weights(cfg.model.to_dict(), missing)
    sentences = [sentence for sentence in missing.values() if sentence]
    hook = dict(type='RandomStartHook', sentences=sentences)
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]
