"""The public ToCo at DeiT-Tiny's width, its published weights put through the tool, and batches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.loading import ROOT, load_file, run_main

REFERENCE = ROOT / 'tests/data/reference'
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
TOLERANCE = dict(rtol=1e-3, atol=1e-4)


def load(name: str):
    """Return the arrays of a file as tensors, and its settings."""
    with np.load(REFERENCE / f'toco/{name}.npz') as file:
        settings = json.loads(str(file['settings']))
        return {k: torch.from_numpy(file[k]) for k in file if k != 'settings'}, settings


def published_weights(name: str) -> dict[str, torch.Tensor]:
    """Return synthetic weights of a spec, as the published code saves them."""
    spec = json.loads((REFERENCE / f'toco/{name}.spec.json').read_text())
    synth_array = load_file(REFERENCE / 'synth_weights.py').synth_array
    weights = {}
    for key, shape in spec.items():
        array = synth_array(key, shape, 2022)
        if key.endswith('weight_g'):
            array = np.ones(shape, np.float32)
        elif key.startswith('proj_head_t.'):
            student = synth_array(key.replace('proj_head_t.', 'proj_head.'), shape, 2022)
            array = np.float32(0.75) * student + np.float32(0.25) * array
        elif key == 'encoder.pos_embed':
            array = np.float32(50) * array
        weights[f'module.{key}'] = torch.from_numpy(array)
    return weights


def public_config(train_cfg: dict | None = None):
    """Return the public model at DeiT-Tiny's width, with the step's settings."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/toco_vit-b.py').model
    cfg.backbone.update(embed_dims=192, num_heads=3, init_cfg=None)
    for part in (cfg.cam_head, cfg.auxiliary_head, cfg.decode_head, cfg.contrast_head.module):
        part.in_channels = 192
    cfg.crop_size = 48
    cfg.data_preprocessor.size = (128, 128)
    cfg.train_cfg.update(train_cfg or {})
    return cfg


def convert(folder: Path) -> Path:
    """Put DeiT-Tiny's published weights through the converter."""
    torch.save(published_weights('toco_deit_tiny'), folder / 'published.pth')
    tool = 'tools/model_converters/toco2mmwsss.py'
    run_main(tool, folder / 'published.pth', folder / 'converted.pth')
    return folder / 'converted.pth'


def build(checkpoint: Path, **changes):
    """Build the public model with converted weights."""
    model = MODELS.build(public_config(**changes))
    load_checkpoint(model, str(checkpoint), strict=True)
    return model


def samples(cls_labels: torch.Tensor, img_box: torch.Tensor, **views: torch.Tensor):
    """Return the samples of a batch; views are normalised and become what was packed.

    Args:
        cls_labels: ``(N, K)``.
        img_box: ``(N, 4)``, (top, bottom, left, right).
        **views: ``(N, 3, H, W)`` each.
    """
    found = []
    for tags, (top, bottom, left, right) in zip(cls_labels, img_box.tolist(), strict=True):
        found.append(SegDataSample(metainfo=dict(valid_box=(top, left, bottom, right))))
        found[-1].set_data(dict(gt_score=tags, gt_label=tags.nonzero().flatten()))
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (MEAN, STD))
    for name, batch in views.items():
        batch = (batch * std + mean).flip(1)
        for sample, view in zip(found, batch, strict=True):
            sample.set_data({name: view})
    return found
