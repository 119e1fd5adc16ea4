"""Reads the config of a pipeline with overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmwsss.cli.config_keys import nearest
from mmwsss.cli.launch import merge_options, read_config
from mmwsss.errors import UsageError

KNOWN = (
    *('stages', 'splits', 'classes', 'title', 'seed', 'data_root', 'notes', 'apply'),
    *('work_dir', 'launcher'),
)


def _moved(value: Any, old: str, new: str) -> Any:
    """Return settings with all paths in one folder moved to another."""
    if isinstance(value, Mapping):
        return {key: _moved(item, old, new) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_moved(item, old, new) for item in value]
    if isinstance(value, str) and (value == old or value.startswith(f'{old}/')):
        return new + value[len(old) :]
    return value


def read_pipeline(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read the config of a pipeline.

    Args:
        path: The file.
        options: Overrides by dotted key, such as ``stages.walks.options.walk.beta``;
            ``data_root`` moves all paths that begin with that of the file.

    Returns:
        The config, without the stages that it sets to None.

    Raises:
        UsageError: the file is missing or not valid, or an option does not match it.
    """
    cfg = read_config(path, known=KNOWN)
    options = dict(options or {})
    if new := options.pop('data_root', None):
        if not cfg.get('data_root'):
            raise UsageError(f'--cfg-options data_root: {path} has no data_root to change.')
        content = _moved(cfg.to_dict(), str(cfg.data_root).rstrip('/'), str(new))
        cfg = Config(content, filename=path)
    stages = cfg.get('stages')
    for key in options if isinstance(stages, Mapping) else ():
        first, _, rest = key.partition('.')
        name = rest.partition('.')[0]
        if first == 'stages' and name not in stages:
            raise UsageError(
                f'--cfg-options {key}: {path} has no stage {name!r}{nearest(name, stages)}; its '
                f'stages are {", ".join(stages)}.'
            )
    merge_options(cfg, options, path, KNOWN)
    if isinstance(stages := cfg.get('stages'), Mapping):
        for name in [name for name, entry in stages.items() if entry is None]:
            del stages[name]
    return cfg
