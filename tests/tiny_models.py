"""Tiny models with random weights, as files in the form that trainings leave them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

CLASSES = ('background', 'cat', 'dog')
PALETTE = [[0, 0, 0], [200, 30, 30], [30, 200, 30]]
LOAD, MASK = dict(type='LoadImageChecked'), dict(type='LoadMaskChecked')
VIEWS = dict(
    type='TestTimeAug',
    transforms=[
        [dict(type='RandomFlip', prob=p, direction='horizontal') for p in (0.0, 1.0)],
        [MASK],
        [dict(type='PackWeakInputs')],
    ],
)
NORM = dict(mean=[127.5] * 3, std=[60.0] * 3, bgr_to_rgb=True)
BACKBONE = dict(type='ResNet38d', width=1 / 16, depths=(1, 1, 1, 1, 1, 1))
HEAD = dict(
    type='LargeFOVHead',
    in_channels=256,
    channels=8,
    dilation=2,
    num_classes=len(CLASSES),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
)
CAM_MODEL = dict(
    type='WeakSegmentor',
    data_preprocessor=dict(type='WeakDataPreProcessor', **NORM),
    backbone=BACKBONE,
    cam_head=dict(type='CAMHead', in_channels=256, num_classes=len(CLASSES)),
)
SEG_MODEL = dict(
    type='CRFEncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', **NORM, test_cfg=dict(size_divisor=16)),
    backbone=BACKBONE,
    decode_head=HEAD,
    test_cfg=dict(mode='whole'),
)


def make_config(model: dict, *, views: str = 'CAMTTAModel', load: Sequence[dict] = (LOAD, MASK)):
    """Return the config of a model.

    Args:
        model: Config of the segmentor.
        views: Type of ``tta_model``.
        load: First transforms of the test pipeline.
    """
    pack = dict(type='PackWeakInputs' if 'cam_head' in model else 'PackSegInputs')
    return Config(
        dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['mmwsss'], allow_failed_imports=False),
            model=model,
            tta_model=dict(type=views),
            tta_pipeline=[LOAD, VIEWS],
            test_dataloader=dict(
                dataset=dict(type='ImageLevelFolderDataset', pipeline=[*load, pack])
            ),
        )
    )


def save_weights(path: Path, model: dict) -> None:
    """Build a model with random weights and write them.

    Args:
        path: The checkpoint.
        model: Config of the segmentor.
    """
    init_default_scope('mmseg')
    torch.manual_seed(0)
    network = MODELS.build(model)
    network.init_weights()
    dataset_meta = dict(classes=CLASSES, palette=PALETTE)
    torch.save(dict(state_dict=network.state_dict(), meta=dict(dataset_meta=dataset_meta)), path)


def save_training(folder: Path, model: dict, **settings: object) -> tuple[str, str]:
    """Write what a training leaves: its config, its last checkpoint and the note of it.

    Args:
        folder: Work directory.
        model: Config of the segmentor.
        **settings: Of :func:`make_config`.

    Returns:
        Paths of config and checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    make_config(model, **settings).dump(folder / 'model.py')
    save_weights(folder / 'iter_4.pth', model)
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_4.pth'))
    return str(folder / 'model.py'), str(folder / 'iter_4.pth')


def save_pipeline(folder: Path, trainings: Sequence[str], *, config: str = 'gone.py') -> None:
    """Write what a finished pipeline says of itself; the trainings' files are those of others.

    Args:
        folder: Work directory.
        trainings: Names of stages in their order; the last is tested.
        config: Config of the pipeline.
    """
    stages = {name: dict(type='Train') for name in trainings}
    stages['test'] = dict(type='Test')
    for name in stages:
        record = dict(format=1, type=stages[name]['type'], inputs={})
        if name == 'test':
            record['inputs'] = {trainings[-1]: {}}
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / 'manifest.json').write_text(json.dumps(record))
    (folder / 'results.json').write_text(json.dumps(dict(config=config, stages=stages)))


def save_photos(folder: Path, names: Sequence[str], size: tuple[int, int] = (24, 32)) -> Path:
    """Write noise as pictures, every second one a little larger.

    Args:
        folder: Where they go.
        names: Of the files, subfolders too.
        size: Height and width.
    """
    rng = np.random.default_rng(0)
    for number, name in enumerate(names):
        height, width = size[0] + 8 * (number % 2), size[1]
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    return folder


def save_video(path: Path, frames: int, size: tuple[int, int] = (24, 32)) -> Path:
    """Write a video of grey frames that grow brighter.

    Args:
        path: The file, ``.avi``.
        frames: Their number.
        size: Height and width.
    """
    fourcc = cv2.VideoWriter_fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(path), fourcc, 10.0, (size[1], size[0]))
    for number in range(frames):
        writer.write(np.full((*size, 3), 20 * number, dtype=np.uint8))
    writer.release()
    return path


def break_off(path: Path) -> Path:
    """Cut a video in the middle of its frames.

    Args:
        path: The file, ``.avi``.
    """
    content = path.read_bytes()
    path.write_bytes(content[: (content.find(b'movi') + content.find(b'idx1')) // 2])
    return path
