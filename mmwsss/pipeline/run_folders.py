"""Work directories of trainings and pipelines: what came of a run, and what it was told to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from numpy.typing import NDArray

from mmwsss.errors import UsageError
from mmwsss.utils import read_utf8
from mmwsss.visualization.report_curves import read_entries, read_losses

from .manifests import MANIFEST, read_record

TRAINING, PIPELINE = 'training', 'pipeline'
LOGS, CONFIGS = '*/vis_data/scalars.json', '*/vis_data/config.py'
# what a metric is not, in the files of figures
NO_METRICS = ('pairs', 'data_time', 'time', 'mIoU_present', 'undecided')
# of a config, what decides on figures; the rest are names that it uses, or logs and files
TOLD = (
    'model',
    'data_preprocessor',
    'train_dataloader',
    'test_dataloader',
    'test_evaluator',
    'tta_model',
    'tta_pipeline',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'custom_hooks',
    'randomness',
    'auto_scale_lr',
    'load_from',
)
UNSET = '-'


class Run(NamedTuple):
    """What a work directory holds.

    Args:
        kind: ``training`` or ``pipeline``.
        figures: Where they were measured -> metric -> value.
        seconds: How long each part took.
        losses: Training -> loss -> steps and values.
        settings: Path of an entry of the configs -> its value.
    """

    kind: str
    figures: dict[str, dict[str, float]]
    seconds: dict[str, float]
    losses: dict[str, dict[str, tuple[NDArray, NDArray]]]
    settings: dict[str, Any]


def flatten(value: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Iterate over the entries of a config that hold no others, with their paths.

    Args:
        value: The config, or a part of it.
        path: Of the part.

    Example:
        >>> dict(flatten(dict(model=dict(depths=(1, 2), heads=[dict(type='A')]))))
        {'model.depths': [1, 2], 'model.heads.0.type': 'A'}
    """
    listed = isinstance(value, (list, tuple))
    if isinstance(value, Mapping) and value:
        items = list(value.items())
    elif listed and any(isinstance(each, (Mapping, list, tuple)) for each in value):
        items = list(enumerate(value))
    else:
        yield path, list(value) if listed else value
        return
    for key, inner in items:
        yield from flatten(inner, f'{path}.{key}' if path else str(key))


def differences(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the entries in which configs differ; what one does not set is a dash there.

    Args:
        settings: Of every run, flattened.

    Example:
        >>> differences([dict(lr=0.1, seed=0), dict(lr=0.1, seed=1, amp=True)])
        {'amp': ['-', True], 'seed': [0, 1]}
    """
    keys = sorted({key for each in settings for key in each})
    values = {key: [each.get(key, UNSET) for each in settings] for key in keys}
    return {key: row for key, row in values.items() if any(x != row[0] for x in row)}


def _metrics(content: Any) -> dict[str, float]:
    """Return the metrics among the entries of a file of figures."""
    if not isinstance(content, dict):
        return {}
    return {
        key: float(value)
        for key, value in content.items()
        if isinstance(value, (int, float)) and key not in NO_METRICS
    }


def _test_figures(folder: Path) -> dict[str, dict[str, float]]:
    """Return what test.py found in a folder and in those in it, the last time in each."""
    figures = {}
    for pattern, depth in (('*/*.json', 0), ('*/*/*.json', 1)):
        for path in sorted(folder.glob(pattern)):
            if path.stem != path.parent.name:  # that of a test is named as its folder
                continue
            try:
                found = _metrics(json.loads(read_utf8(path)))
            except ValueError as error:
                raise UsageError(f'{path} is damaged ({error}): remove it.') from error
            if found:
                figures[path.parent.parent.name if depth else 'test'] = found
    return figures


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)
    except (OSError, SyntaxError, KeyError, ValueError) as error:
        raise UsageError(f'The config {path} cannot be read: {error}.') from error
    told = {key: cfg.to_dict()[key] for key in TOLD if key in cfg}
    if told.get('model', {}).get('data_preprocessor'):  # says the same twice
        told.pop('data_preprocessor', None)
    return dict(flatten(told))


def _read_training(folder: Path) -> Run:
    logs = sorted(folder.glob(LOGS))
    entries = read_entries(logs)
    steps = [0, *(entry['step'] for entry in entries)]
    seconds = sum(
        entry.get('time', 0.0) * (entry['step'] - before)
        for before, entry in zip(steps, entries, strict=False)
    )
    # that of the last training: a test writes a config, too
    configs = [log.with_name('config.py') for log in logs] or sorted(folder.glob(CONFIGS))
    return Run(
        TRAINING,
        figures=_test_figures(folder),
        seconds={TRAINING: seconds} if entries else {},
        losses={TRAINING: read_losses(logs)} if entries else {},
        settings=_read_settings(configs[-1]),
    )


def _read_pipeline(folder: Path, manifests: Sequence[Path]) -> Run:
    found = {path.parent.name: read_record(path) for path in manifests}
    records = {name: record for name, record in found.items() if record is not None}
    run = Run(PIPELINE, {}, {}, {}, {})
    for name, record in sorted(records.items(), key=lambda item: item[1]['finished']):
        run.seconds[name] = record['seconds']
        for split, figures in record['figures'].items():
            run.figures[f'{name} {split}'] = _metrics(figures)
        if losses := read_losses(sorted((folder / name).glob(LOGS))):
            run.losses[name] = losses
        settings = dict(record['settings'])
        # the config comes first in a path of its own, the entry of the stage needs no word
        for part in (settings.pop('config', {}), settings.pop('entry', {}), settings):
            run.settings.update(flatten(part, name))
    return run


def read_run(folder: Path) -> Run:
    """Read what is in a work directory.

    Args:
        folder: Of a training (``work_dirs/{config}``, a stage of a pipeline too) or of a
            pipeline.

    Raises:
        UsageError: it is neither, or a file in it is damaged.
    """
    if not folder.is_dir():
        raise UsageError(f'There is no folder {folder}; check the path.')
    if manifests := sorted(folder.glob(f'*/{MANIFEST}')):
        return _read_pipeline(folder, manifests)
    if any(folder.glob(CONFIGS)):
        return _read_training(folder)
    below = [path for pattern in (CONFIGS, f'*/{MANIFEST}') for path in folder.glob(f'*/{pattern}')]
    runs = sorted({path.relative_to(folder).parts[0] for path in below})
    raise UsageError(
        f'{folder} is no run: it holds neither a training (*/vis_data/config.py) nor finished '
        f'stages of a pipeline (*/{MANIFEST})'
        + (f'; of the folders in it name {", ".join(runs)}.' if runs else '.')
    )
