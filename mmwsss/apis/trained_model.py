"""Config, weights and classes of a trained model, by whatever name the user has for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.infer.infer import BaseInferencer
from mmengine.model import BaseTTAModel
from mmseg.registry import DATASETS
from torch import nn

from mmwsss.cli.launch import merge_options, read_config
from mmwsss.datasets.class_names import class_names
from mmwsss.datasets.class_palettes import ClassPalette
from mmwsss.datasets.palette import voc_palette
from mmwsss.errors import UsageError
from mmwsss.pipeline.manifests import MANIFEST, STARTED, read_record
from mmwsss.pipeline.photographs.pipeline import final_model
from mmwsss.pipeline.results import RESULTS
from mmwsss.pipeline.settings import read_pipeline
from mmwsss.pipeline.trainings import latest_checkpoint
from mmwsss.utils import read_utf8


def _planned_stages(folder: Path) -> dict[str, dict[str, Any]] | None:
    """Return type and model of all stages, None where the pipeline has not ended."""
    path = folder / RESULTS
    try:
        results = json.loads(read_utf8(path))
        config, stages = results['config'], results['stages']
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f'{path} is damaged ({error}): run the pipeline again, which writes it afresh.'
        ) from error
    if os.path.isfile(config):
        # what was run with --until is not all
        return read_pipeline(config).stages
    records = {name: read_record(folder / name / MANIFEST) or {} for name in stages}
    return {
        name: dict(type=entry['type'], model=next(iter(records[name].get('inputs', {})), None))
        for name, entry in stages.items()
    }


def _final_training(folder: Path) -> Path:
    """Return the folder of the training whose model a pipeline ends with.

    Raises:
        UsageError: it has not come so far.
    """
    stages = _planned_stages(folder)
    name = None if stages is None else final_model(stages)
    if name is not None and (folder / name / MANIFEST).is_file():
        return folder / name
    running = [p.parent for p in sorted(folder.glob(f'*/{STARTED}'))]
    at = [path.name for path in running if not (path / MANIFEST).is_file()]
    where = f' (it stopped, or is, at {at[0]})' if at else ''
    last = f'its last training, {name}' if name else 'its last stage'
    raise UsageError(
        f'The pipeline in {folder} has not finished {last}{where}: run the same command of '
        f'tools/run_pipeline.py again, or name the folder of a training in it instead of {folder}.'
    )


def find_trained_model(work_dir: str | os.PathLike[str]) -> tuple[str, str]:
    """Return config and latest checkpoint of a folder of results.

    Args:
        work_dir: Of a pipeline, whose final model is taken; or of one training.

    Raises:
        UsageError: it holds no training, or the pipeline has not finished its last one.
    """
    folder = Path(work_dir)
    if not folder.is_dir():
        raise UsageError(f'There is no folder {work_dir}; check the path.')
    stages = [*folder.glob(f'*/{MANIFEST}'), *folder.glob(f'*/{STARTED}')]
    if stages or (folder / RESULTS).is_file():
        folder = _final_training(folder)
    checkpoint = latest_checkpoint(folder)
    # written by MMEngine's Runner, with all overrides; the last one, if it was started anew
    configs = sorted(folder.glob('*.py'), key=os.path.getmtime)
    if checkpoint is None or not configs:
        raise UsageError(
            f'{folder} holds no {"config" if checkpoint else "checkpoint"} of a training: give '
            'the work dir of tools/run_pipeline.py or tools/train.py, or a config and a checkpoint.'
        )
    return str(configs[-1]), str(checkpoint)


def named_config(name: str) -> str | None:
    """Return the path of a config of this project by its name, None where there is none.

    Args:
        name: As in ``model-index.yml``, such as ``seam_r38_voc``.
    """
    root = Path(BaseInferencer._get_repo_or_mim_dir('mmwsss'))
    for entry in load(root / 'model-index.yml')['Models']:
        if entry['Name'] == name:
            return str(root / entry['Config'])
    return None


def read_model_config(model: Any, options: Mapping[str, Any] | None = None) -> Config:
    """Return the config of a model, which may be changed.

    Args:
        model: Path, name of a config of this project, or the config itself.
        options: Overrides by dotted key.

    Raises:
        UsageError: there is no such config, or an option does not fit it.
    """
    if isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        return read_config(
            path if os.path.isfile(path) else named_config(path) or path, options or {}
        )
    cfg = Config(model.to_dict() if isinstance(model, Config) else dict(model))
    merge_options(cfg, options or {}, str(cfg.filename or 'the config'))
    return cfg


def check_device(device: str | None) -> None:
    """Refuse a device that is not there before anything is loaded.

    Args:
        device: Its name, None for the one that is chosen.

    Raises:
        UsageError: it cannot be used.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        problem = str(error).splitlines()[0]
        raise UsageError(
            f'The device {device} cannot be used ({problem}): name another one, such as cpu.'
        ) from error


def segmentor_of(model: nn.Module) -> nn.Module:
    """Return the segmentor that a model with test-time augmentation wraps, or the model itself.

    Args:
        model: The model.
    """
    return model.module if isinstance(model, BaseTTAModel) else model


def _config_meta(cfg: Config) -> dict[str, Any]:
    """Return classes and palette of the data set that a config tests on, as far as it says."""
    dataset = cfg.get('test_dataloader', {}).get('dataset', {})
    kind = DATASETS.get(dataset['type']) if 'type' in dataset else None
    return {**getattr(kind, 'METAINFO', {}), **(dataset.get('metainfo') or {})}


def find_classes(
    metas: Sequence[Mapping[str, Any]], cfg: Config, num_classes: int | None
) -> ClassPalette:
    """Return names and colours of the classes of a model.

    Args:
        metas: Where to look first: dicts with ``classes`` and perhaps ``palette``.
        cfg: Config of the model, whose data set is looked at last.
        num_classes: Of the model, None where it does not say.

    Raises:
        UsageError: the first names another number of classes, or none does.
    """
    for meta in (*metas, _config_meta(cfg)):
        classes = meta.get('classes')
        if classes == 'imagenet':
            classes = class_names([classes])
        if not classes or isinstance(classes, str):
            continue
        if num_classes in (None, len(classes)):
            palette = meta.get('palette')
            if not isinstance(palette, (list, tuple)) or len(palette) < len(classes):
                palette = voc_palette(len(classes))
            return ClassPalette(tuple(classes), list(palette))
    raise UsageError(
        f'Neither checkpoint nor config names the {num_classes} classes of the model: give '
        f'--classes (classes=[...] in Python), {num_classes} names with the background.'
    )
