"""make_predictions.py: the files, views, resuming, messages."""

import itertools
import json
import re

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from PIL import Image

from mmwsss.cli.launch import run_tool
from mmwsss.datasets import read_mask
from mmwsss.datasets.masks import MaskError
from tests.loading import load_file

pytestmark = pytest.mark.stack
NAMES = ('a', 'b', 'c')
CLASSES = ('background', 'cat', 'dog')
PALETTE = [[0] * 3, [9] * 3, [99] * 3]
LOAD, PACK = dict(type='LoadImageChecked'), dict(type='PackSegInputs')
MODEL = dict(
    type='CRFEncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[127.5] * 3, std=[60.0] * 3, bgr_to_rgb=True
    ),
    backbone=dict(type='ResNet38d', width=1 / 16, depths=(1, 1, 1, 1, 1, 1)),
    decode_head=dict(
        type='LargeFOVHead',
        in_channels=256,
        channels=8,
        dilation=2,
        num_classes=len(CLASSES),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole'),
)
VIEWS = [
    LOAD,
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadMaskChecked')],
            [PACK],
        ],
    ),
]
RUNS = itertools.count()


@pytest.fixture(scope='module')
def tool():
    return load_file('tools/make_predictions.py')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Three images without masks, a model and its config."""
    root = tmp_path_factory.mktemp('make_predictions')
    rng = np.random.default_rng(0)
    (root / 'images').mkdir()
    for i, name in enumerate(NAMES):
        image = rng.integers(0, 256, (24 + 8 * i, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'images/{name}.png'), image)
    (root / 'labels.json').write_text(json.dumps({f'{name}.png': [] for name in NAMES}))
    (root / 'all.txt').write_text('\n'.join(NAMES))
    (root / 'two.txt').write_text('a\nc')
    dataset = dict(
        type='ImageLevelFolderDataset',
        data_root=str(root),
        ann_file='all.txt',
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        image_labels='labels.json',
        metainfo=dict(classes=CLASSES, palette=PALETTE),
        # there are no masks to load
        pipeline=[LOAD, dict(type='LoadMaskChecked'), PACK],
    )
    cfg = Config(
        dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['mmwsss'], allow_failed_imports=False),
            work_dir=str(root / 'logs'),
            model=MODEL,
            tta_model=dict(type='CRFTTAModel'),
            tta_pipeline=VIEWS,
            test_dataloader=dict(
                batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset
            ),
            test_cfg=dict(type='TestLoop'),
            test_evaluator=dict(type='IoUMetric'),
        )
    )
    cfg.dump(root / 'config.py')
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(MODEL)
    model.init_weights()
    # untrained it would predict the same class everywhere
    model.decode_head.conv_seg.weight.data *= 100
    torch.save(model.state_dict(), root / 'model.pth')
    return root


def run(tool, folder, out_dir, *options, more=()):
    words = [folder / 'config.py', folder / 'model.pth', '--out-dir', out_dir, *options]
    # MMEngine names a run by the second it started in
    words += ['--cfg-options', f'experiment_name=run{next(RUNS)}', *more]
    run_tool(tool.make_parser(), tool.make_predictions, [str(word) for word in words])


def contents(out_dir):
    return {path.name: path.read_bytes() for path in out_dir.iterdir()}


@pytest.fixture(scope='module')
def made(tool, folder):
    run(tool, folder, folder / 'made')
    return contents(folder / 'made')


def test_every_image_has_a_mask_of_its_size(folder, made):
    assert set(made) == {f'{name}.png' for name in NAMES}
    for i, name in enumerate(NAMES):
        assert read_mask(folder / f'made/{name}.png', len(CLASSES))[0].shape == (24 + 8 * i, 40)


def test_masks_are_those_of_the_model(folder, made):
    model = MODELS.build(MODEL).eval()
    model.load_state_dict(torch.load(folder / 'model.pth', weights_only=True))
    with torch.no_grad():
        sample = Compose([LOAD, PACK])(dict(img_path=str(folder / 'images/b.png')))
        predicted = model.test_step(pseudo_collate([sample]))[0].pred_sem_seg.data[0].numpy()
    mask, values = read_mask(folder / 'made/b.png', len(CLASSES))
    assert len(values) > 1
    assert (mask == predicted).all()


def test_masks_have_the_colours_of_the_data_set(folder, made):
    with Image.open(folder / 'made/a.png') as image:
        assert image.mode == 'P'
        assert np.reshape(image.getpalette(), (-1, 3))[:3].tolist() == PALETTE


def test_several_views(tool, folder, made, tmp_path):
    run(tool, folder, tmp_path, '--tta')
    assert contents(tmp_path).keys() == made.keys()
    assert contents(tmp_path) != made


def test_finished_masks_are_left_alone(tool, folder, made, tmp_path):
    (tmp_path / 'b.png').write_bytes(b'finished')
    run(tool, folder, tmp_path)
    assert contents(tmp_path) == {**made, 'b.png': b'finished'}
    run(tool, folder, tmp_path, '--overwrite')
    assert contents(tmp_path) == made


def test_split(tool, folder, made, tmp_path):
    run(tool, folder, tmp_path, '--split', 'two')
    assert contents(tmp_path) == {name: made[name] for name in ('a.png', 'c.png')}


def test_config_without_views(tool, folder, tmp_path, capsys):
    with pytest.raises(SystemExit, match='2'):
        run(tool, folder, tmp_path, '--tta', more=['tta_model=None'])
    error = capsys.readouterr().err
    assert re.search(r'config\.py has no tta_model; add what is missing or leave out --tta', error)
    assert error.count('\n') == 1


def test_folder_that_cannot_be_written(tool, folder, tmp_path, capsys, monkeypatch):
    def fail(path, *args):
        raise MaskError(f'mask {path} cannot be written (No space left on device): make room.')

    monkeypatch.setattr('mmwsss.evaluation.metrics.mask_metric.write_mask_file', fail)
    with pytest.raises(SystemExit, match='2'):
        run(tool, folder, tmp_path)
    assert 'a.png cannot be written (No space left' in capsys.readouterr().err
