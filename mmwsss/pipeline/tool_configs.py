"""Configs of the tools that a pipeline runs: their options, and what of them matters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config

from mmwsss.errors import UsageError
from mmwsss.utils import atomic_write

from .digests import plain

TRAINING = (
    'model',
    'data_preprocessor',
    'train_dataloader',
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'custom_hooks',
    'find_unused_parameters',
)
# where data lie and how many processes read them changes no result; what the data are is told
# by a digest of their own
PLACES = ('data_root', 'ann_file', 'image_labels', 'data_prefix')
# by the words of a command line
TOLD = ('work_dir', 'launcher')
READING = ('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor')


def find_config(path: str, tools: Path) -> str:
    """Return the path of a config: from the current folder, or beside the folder of the tools.

    Args:
        path: As a pipeline names it.
        tools: Folder of the tools.

    Raises:
        UsageError: it is in neither.
    """
    for found in (Path(path), tools.parent / path):
        if found.is_file():
            return str(found)
    raise UsageError(f'there is no config {path}; check the path.')


def flat_options(options: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Return overrides of a config by dotted keys.

    Args:
        options: Nested as one likes.
        prefix: Of all keys.

    Example:
        >>> flat_options({'model.test_cfg': dict(mode='whole'), 'train_cfg': dict(max_iters=4)})
        {'model.test_cfg.mode': 'whole', 'train_cfg.max_iters': 4}
    """
    flat = {}
    for key, value in options.items():
        if isinstance(value, Mapping) and value:
            flat.update(flat_options(value, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = value
    return flat


def config_text(content: Mapping[str, Any]) -> str:
    """Return a config as Python, in its order, which MMEngine's ``pretty_text`` does not keep.

    Args:
        content: Plain dicts, lists, tuples and values.

    Example:
        >>> print(config_text(dict(b=dict(z=(1, None), a='x'))), end='')
        b = {'z': (1, None), 'a': 'x'}
    """
    values = {key: pformat(value, width=100, sort_dicts=False) for key, value in content.items()}
    return ''.join(f'{key} = {value}\n' for key, value in values.items())


def write_config(cfg: Config, path: Path) -> None:
    """Write a complete config, from which a tool starts.

    Args:
        cfg: The config; what the tool is told otherwise, such as ``work_dir``, is left out.
        path: The file.

    Raises:
        OSError: it cannot be written.
    """
    content = {key: value for key, value in cfg.to_dict().items() if key not in TOLD}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, 'w') as file:
        file.write(config_text(content))


def find_dicts(value: Any, key: str, prefix: str = '') -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Iterate over all dicts with a key, with their dotted names.

    Args:
        value: Config or a part of it.
        key: The key.
        prefix: Dotted name of the part.

    Example:
        >>> list(find_dicts(dict(a=[dict(type='X')]), 'type'))
        [('a.0', {'type': 'X'})]
    """
    if isinstance(value, Mapping):
        if key in value:
            yield prefix, value
        items: Collection = value.items()
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    else:
        return
    for name, item in items:
        yield from find_dicts(item, key, f'{prefix}.{name}' if prefix else str(name))


def data_root_options(cfg: Config, loader: str, data_root: str | None) -> dict[str, str]:
    """Return the overrides by which the data sets of a loader have the root of the pipeline.

    Args:
        cfg: Config of a tool.
        loader: ``train_dataloader`` or ``test_dataloader``.
        data_root: Of the pipeline, None to leave the config as it is.
    """
    if data_root is None:
        return {}
    return {
        f'{name}.data_root': data_root
        for name, found in find_dicts(cfg.get(loader), 'data_root', loader)
        if found['data_root'] != data_root
    }


def without(value: Any, keys: Collection[str]) -> Any:
    """Return a config without some keys, wherever they are; it is not changed.

    Args:
        value: Config or a part of it.
        keys: The keys.

    Example:
        >>> without([dict(a=1, b=dict(a=2, c=3))], ['a'])
        [{'b': {'c': 3}}]
    """
    if isinstance(value, Mapping):
        return {key: without(item, keys) for key, item in value.items() if key not in keys}
    if isinstance(value, (list, tuple)):
        return [without(item, keys) for item in value]
    return value


def training_part(cfg: Config) -> dict[str, Any]:
    """Return what of a config decides the weights that a training ends with.

    Args:
        cfg: Config of a training.
    """
    part = {key: cfg[key] for key in TRAINING if key in cfg}
    if isinstance(loader := part.get('train_dataloader'), Mapping):
        part['train_dataloader'] = without(loader, [*PLACES, *READING])
    # weights are told by a digest of their own
    return plain(without(part, ['test_cfg', 'checkpoint']))


def testing_part(cfg: Config, *keys: str) -> dict[str, Any]:
    """Return what of a config decides what a trained model makes of images.

    Args:
        cfg: Config of a model.
        *keys: Entries that matter beside the model and the data.
    """
    dataset = cfg.get('test_dataloader', {}).get('dataset', {})
    part = {'model': cfg.model, 'test_dataset': without(dataset, PLACES)}
    part.update({key: cfg[key] for key in keys if key in cfg})
    return plain(without(part, ['init_cfg']))
