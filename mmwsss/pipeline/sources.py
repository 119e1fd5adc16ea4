"""Config overrides through which a training uses the output of earlier stages."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from mmwsss.errors import UsageError

from .tool_configs import find_dicts

LABEL_LOADERS = ('LoadAffinityScores', 'LoadAffinityLabel')


def _pretrained_options(cfg: Config, place: str) -> dict[str, str]:
    """Return the overrides that initialise the backbone from a checkpoint."""
    values = dict(type='Pretrained', checkpoint=place, prefix='backbone.')
    present = cfg.model.backbone.get('init_cfg') or {}
    return {f'model.backbone.init_cfg.{k}': v for k, v in values.items() if present.get(k) != v}


def _weight_options(cfg: Config, key: str, place: str) -> dict[str, str]:
    """Return the override that sets the checkpoint of an entry of the model."""
    parent, _, leaf = key.rpartition('.')
    found = dict(find_dicts(cfg.model, leaf, 'model'))
    if parent not in found:
        raise UsageError(
            f'{cfg.filename} has no {key} that takes a checkpoint; correct the key in weights, or '
            'name another config.'
        )
    return {} if found[parent][leaf] == place else {key: place}


def _data_options(cfg: Config, parameter: str, place: str) -> dict[str, str]:
    """Return the overrides that read labels or masks from a folder."""
    loader: dict[str, Any] = dict(train_dataloader=cfg.get('train_dataloader', {}))
    masks = parameter == 'masks'
    types = ('PseudoMaskDataset',) if masks else LABEL_LOADERS
    key = 'data_prefix.seg_map_path' if masks else 'label_dir'
    found = [(name, step) for name, step in find_dicts(loader, 'type') if step['type'] in types]
    if not found:
        raise UsageError(
            f'{cfg.filename} has no {" or ".join(types)} that takes the {parameter}; name '
            'another config.'
        )
    return {
        f'{name}.{key}': place
        for name, step in found
        if (step.get('data_prefix', {}).get('seg_map_path') if masks else step.get(key)) != place
    }


def source_options(cfg: Config, parameter: str, place: str) -> dict[str, str]:
    """Return the overrides through which a training uses the output of an earlier stage.

    Args:
        cfg: Config of the training.
        parameter: ``pretrained``, ``labels`` or ``masks``, or the dotted key of an entry of the
            model that names a checkpoint.
        place: The checkpoint, or the folder of the files.

    Raises:
        UsageError: the config has no such entry.
    """
    if parameter == 'pretrained':
        return _pretrained_options(cfg, place)
    if parameter in ('labels', 'masks'):
        return _data_options(cfg, parameter, place)
    return _weight_options(cfg, parameter, place)
