"""The public MCTformers at the width of the reference, whose weights go through the tool."""

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
TOOL = 'tools/model_converters/mctformer2mmwsss.py'
VERSIONS = ('v1', 'v2', 'plus')
SIDES = dict(v1=112, v2=112, plus=128)


def load(name: str):
    """Return the arrays of a file as tensors, and its settings."""
    with np.load(REFERENCE / f'mctformer/{name}.npz') as file:
        settings = json.loads(str(file['settings']))
        return {k: torch.from_numpy(file[k]) for k in file if k != 'settings'}, settings


def published_weights(name: str) -> dict[str, torch.Tensor]:
    """Return synthetic weights of a spec."""
    synth = load_file(REFERENCE / 'synth_weights.py').synth_state_dict
    weights = synth(REFERENCE / f'mctformer/{name}.spec.json', 2022)
    return {key: torch.from_numpy(array) for key, array in weights.items()}


def public_config(version: str, side: int | None = None) -> Config:
    """Return the public config for VOC at the width of the reference."""
    cfg = Config.fromfile(ROOT / f'configs/mctformer/mctformer-{version}_deit-s_voc.py')
    cfg.model.backbone.update(
        embed_dims=96,
        num_heads=3,
        img_size=side or SIDES[version],
        drop_path_rate=0.0,
        init_cfg=None,
    )
    return cfg


def convert(version: str, folder: Path) -> Path:
    """Put the published weights of a version through the tool."""
    src, dst = folder / f'{version}_published.pth', folder / f'{version}.pth'
    torch.save(published_weights(f'{version}_tiny'), src)
    run_main(TOOL, src, dst)
    return dst


def build(version: str, checkpoint: Path, **changes):
    """Build the public model with converted weights."""
    init_default_scope('mmseg')
    cfg = public_config(version).model
    cfg.update(changes)
    model = MODELS.build(cfg)
    load_checkpoint(model, str(checkpoint), strict=True)
    return model.eval()


def normalised(model, images: torch.Tensor) -> torch.Tensor:
    """Put images of RGB bytes ``(N, H, W, 3)`` through the preprocessor."""
    batch = dict(inputs=[x.flip(2).permute(2, 0, 1) for x in images], data_samples=None)
    return model.data_preprocessor(batch)['inputs']


def samples(labels: torch.Tensor) -> list[SegDataSample]:
    """Return samples with multi-hot labels ``(N, K)``."""
    found = [SegDataSample() for _ in labels]
    for sample, label in zip(found, labels, strict=True):
        sample.set_data(dict(gt_score=label, gt_label=label.nonzero().flatten()))
    return found
