"""The public tiny APC and ViT-PCM, smaller still, for tests."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

CONFIGS = Path(__file__).parents[1] / 'configs/apc'
FILES = {'apc_vit-tiny': 'apc_vit-tiny_emblems', 'vit-pcm': 'vit-pcm_vit-tiny_emblems'}


@cache
def _model(name: str) -> ConfigDict:
    model = Config.fromfile(CONFIGS / f'{FILES[name]}.py').model
    model.data_preprocessor.update(mean=[127.5] * 3, std=[127.5] * 3)
    model.backbone.update(embed_dims=16, num_heads=2, img_size=32, init_cfg=None)
    model.neck.update(in_channels=16, hidden_channels=4)
    model.cam_head.update(in_channels=16, num_classes=4)
    if 'transformation' in model:
        model.transformation.update(crop_size=16)
    if model.decode_head:
        model.decode_head.update(in_channels=[16] * 3, channels=8, num_classes=4)
        # masks in which all of class, background and ignored pixels occur
        model.thresholds = (0.35, 0.55)
        model.refiner.update(num_iters=5, dilations=(1, 2, 4, 8))
    return model


def apc_config(name: str, changes: Mapping[str, Any]) -> ConfigDict:
    """Return the config of a model with four classes, for images of 32 x 32 in patches of 8.

    Args:
        name: ``apc_vit-tiny`` or ``vit-pcm``.
        changes: Values for places such as ``test_cfg.output``.
    """
    cfg = copy.deepcopy(_model(name))
    for place, value in changes.items():
        *parents, last = place.split('.')
        part = cfg
        for parent in parents:
            part = part[parent]
        part[last] = value
    return cfg
