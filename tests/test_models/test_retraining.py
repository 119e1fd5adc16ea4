"""Ordinary segmentation models on pseudo masks: heads, groups, training, dense CRF at the end."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample
from PIL import Image
from torch.nn.modules.batchnorm import _BatchNorm

from mmwsss.models import CRFTTAModel, DenseCRF
from tests.weak_data import make_image, make_voc, save_image

# MMSegmentation's, on any network that enlarges with aligned corners
ALIGNED = pytest.mark.filterwarnings('ignore:When align_corners=True')
pytestmark = [pytest.mark.stack, ALIGNED]
CONFIGS = Path(__file__).parents[2] / 'configs'
SIZE = (40, 56)
BN = dict(type='BN', requires_grad=True)
BACKBONE = dict(
    type='ResNet38d',
    width=1 / 16,
    depths=(1, 1, 1, 1, 1, 1),
    frozen_stages=-1,
    norm_cfg=BN,
    norm_eval=False,
)
LOSS = dict(type='CrossEntropyLoss', avg_non_ignore=True)
HEAD = dict(
    type='LargeFOVHead',
    in_channels=256,
    channels=8,
    num_classes=4,
    norm_cfg=BN,
    loss_decode=LOSS,
)
V2_HEAD = dict(type='DeepLabV2Head', in_channels=3, num_classes=4, loss_decode=LOSS)
CRF = dict(type='DenseCRF', num_iters=1, bilateral=dict(sxy=8, srgb=13, weight=10))
MODEL = dict(
    type='CRFEncoderDecoder',
    backbone=BACKBONE,
    decode_head=HEAD,
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
)


def build(crf=CRF, **changes):
    torch.manual_seed(0)
    cfg = {**MODEL, 'test_cfg': dict(mode='whole', crf=crf), **changes}
    model = MODELS.build(copy.deepcopy(cfg)).eval()
    # untrained, one class would win everywhere
    classifier = model.decode_head.conv_seg
    with torch.no_grad():
        classifier.weight.mul_(20)
        classifier.bias.sub_(model(torch.randn(2, 3, *SIZE), mode='tensor').mean(dim=(0, 2, 3)))
    return model


@pytest.fixture
def picture(tmp_path):
    """File and RGB array of a picture without loss."""
    image = make_image([1, 2], SIZE, 0)[0]
    save_image(tmp_path / 'dog.png', image)
    return tmp_path / 'dog.png', image


def view(picture, scale=1, flip=False):
    """Return the packed view that a pipeline gives: BGR, scaled, mirrored."""
    path, image = picture
    size = (SIZE[1] * scale, SIZE[0] * scale)
    scaled = np.array(Image.fromarray(image).resize(size))[..., ::-1]
    scaled = scaled[:, ::-1] if flip else scaled
    meta = dict(img_path=str(path), ori_shape=SIZE, img_shape=scaled.shape[:2])
    if flip:
        meta.update(flip=True, flip_direction='horizontal')
    inputs = torch.from_numpy(scaled.transpose(2, 0, 1).copy())
    return dict(inputs=[inputs], data_samples=[SegDataSample(metainfo=meta)])


def views(picture):
    many = [view(picture, scale, flip) for scale in (1, 2) for flip in (False, True)]
    return {key: [one[key] for one in many] for key in many[0]}


def by_hand(image, logits):
    images = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    return MODELS.build(CRF)(images, logits[None].softmax(1))[0]


# heads


def test_large_fov_head_sees_as_far_as_its_dilation():
    head = MODELS.build(dict(HEAD, in_channels=2, dilation=12)).eval()
    x = torch.randn(1, 2, 40, 50, requires_grad=True)
    logits = head([torch.zeros(1, 9, 2, 2), x])
    assert logits.shape == (1, 4, 40, 50)
    logits[0, 0, 20, 25].backward()
    seen = x.grad.abs().sum(dim=(0, 1)).nonzero()
    assert {tuple(p) for p in seen.tolist()} == {(r, c) for r in (8, 20, 32) for c in (13, 25, 37)}


def test_large_fov_head_is_made_of_what_is_published():
    head = MODELS.build(dict(HEAD, channels=512, num_classes=21))
    wide, narrow = (unit.conv for unit in head.convs)
    assert wide.weight.shape == (512, 256, 3, 3)
    assert wide.dilation == wide.padding == (12, 12)
    assert narrow.weight.shape == (512, 512, 1, 1)
    assert head.conv_seg.weight.shape == (21, 512, 1, 1)
    assert all(unit.with_norm and unit.with_activation for unit in head.convs)
    assert type(head.dropout) is torch.nn.Dropout
    assert head.dropout.p == 0.5


def test_deeplabv2_head_adds_its_branches():
    head = MODELS.build(V2_HEAD)
    x = torch.randn(2, 3, 9, 11)
    logits = head([x])
    assert torch.equal(logits, sum(branch(x) for branch in head.branches))
    assert [branch.dilation[0] for branch in head.branches] == [6, 12, 18, 24]
    logits.sum().backward()
    assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(HEAD, dilation=0), 'LargeFOVHead: dilation must be at least 1, got 0'),
        (
            dict(V2_HEAD, dilations=()),
            r'DeepLabV2Head: dilations must be positive numbers, got \(\)',
        ),
    ],
)
def test_wrong_dilation_is_refused(cfg, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg)


# training


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    """A VOC of four images; its masks serve as the pseudo masks of train."""
    return make_voc(tmp_path_factory.mktemp('retraining'), size=SIZE)


def tiny_config(data_root, work_dir):
    """Make the public config small, and let it see the data."""
    cfg = Config.fromfile(CONFIGS / 'deeplab_pseudo/deeplabv1_r38_voc.py')
    cfg.model.backbone.update(width=1 / 16, depths=(1, 1, 1, 1, 1, 1), init_cfg=None)
    cfg.model.decode_head.update(in_channels=256, channels=8)
    cfg.model.data_preprocessor.size = (32, 32)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=1)
    cfg.train_dataloader.batch_size = 2
    cfg.train_dataloader.dataset.dataset.data_root = str(data_root)
    cfg.test_dataloader.dataset.data_root = str(data_root)
    cfg.train_dataloader.dataset.data_prefix.seg_map_path = str(data_root / 'SegmentationClass')
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'CropWithValidBox':
            step.crop_size = (32, 32)
        if step.type == 'RandomResize':
            step.scale = (56, 56)
    cfg.train_cfg.max_iters = 2
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = 'retraining'
    return cfg


def affine_names(model):
    """Return the names of the scales and shifts of batch norm."""
    norms = [n for n, m in model.named_modules() if isinstance(m, _BatchNorm)]
    return {f'{name}.{part}' for name in norms for part in ('weight', 'bias')}


def test_training_and_test_by_the_config(data_root, tmp_path):
    runner = Runner.from_cfg(tiny_config(data_root, tmp_path))
    for packed in runner.train_dataloader.dataset:
        mask = packed['data_samples'].gt_sem_seg.data
        assert mask.shape[1:] == packed['inputs'].shape[1:]
        assert {0} < set(mask.unique().tolist())
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    after = runner.model.state_dict()
    assert all(v.isfinite().all() for v in after.values())
    # of batch norm the statistics move, of the first stage, too, and nothing else
    changed = {k for k, v in after.items() if not torch.equal(v, before[k])}
    assert set(before) - changed == affine_names(runner.model)
    seen = []
    runner.model.register_forward_hook(lambda _, __, samples: seen.extend(samples))
    assert 0 <= runner.test()['mIoU'] <= 100
    assert {tuple(s.pred_sem_seg.data.shape) for s in seen} == {(1, *SIZE)}
    assert isinstance(runner.model.crf, DenseCRF)
    # to be loaded by a model without CRF
    assert not any(k.startswith('crf') for k in after)


def test_test_time_augmentation_by_the_config(data_root, tmp_path):
    cfg = tiny_config(data_root, tmp_path)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)
    runner = Runner.from_cfg(cfg)
    views, images = [], []
    runner.model.module.register_forward_hook(lambda *_: views.append(1))
    runner.model.module.crf.register_forward_hook(lambda *_: images.append(1))
    assert 0 <= runner.test()['mIoU'] <= 100
    assert len(views) == 12 * len(images) == 24


def test_batch_norm_has_the_published_momentum():
    cfg = Config.fromfile(CONFIGS / 'deeplab_pseudo/deeplabv1_r38_voc.py').model
    assert cfg.backbone.norm_cfg == cfg.decode_head.norm_cfg
    assert cfg.backbone.norm_cfg.momentum == 3e-4
    assert cfg.backbone.norm_eval is False


def test_groups_learn_at_the_published_rates(data_root, tmp_path):
    cfg = tiny_config(data_root, tmp_path)
    model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    names = {id(p): name for name, p in model.named_parameters()}
    groups = optimizer.param_groups
    # the backbone has no bias but those of its batch norm
    assert [g['lr'] for g in groups] == pytest.approx([1e-3, 1e-2, 2e-2])
    assert [g['weight_decay'] for g in groups] == [5e-4, 5e-4, 0]
    assert [g['momentum'] for g in groups] == [0.9] * 3
    members = [{names[id(p)] for p in g['params']} for g in groups]
    # all convolutions, of the first stage, too, and no batch norm
    assert set.union(*members) == set(names.values()) - affine_names(model)
    parts = ('backbone', 'decode_head', 'decode_head'), ('weight', 'weight', 'bias')
    for group, part, kind in zip(members, *parts, strict=True):
        assert all(n.startswith(part) and n.endswith(kind) for n in group)


@pytest.mark.parametrize('data', ['voc', 'coco'])
def test_logits_are_enlarged_with_aligned_corners(data):
    cfg = Config.fromfile(CONFIGS / f'deeplab_pseudo/deeplabv1_r38_{data}.py').model
    cfg.backbone.update(width=1 / 16, depths=(1, 1, 1, 1, 1, 1), init_cfg=None)
    cfg.decode_head.update(in_channels=256, channels=8)
    model = MODELS.build(cfg).eval()
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        small = model(images, mode='tensor')
        large = model.encode_decode(images, [dict(img_shape=(32, 32))])
    corners = torch.tensor([0, -1])
    torch.testing.assert_close(
        large[..., corners[:, None], corners], small[..., corners[:, None], corners]
    )


@pytest.mark.parametrize(
    'config',
    sorted(
        p
        for folder in ('deeplab_pseudo', 'segformer_pseudo')
        for p in (CONFIGS / folder).glob('*_voc.py')
        # MCTformer's pads right and below
        if '-3x3' not in p.stem
    ),
    ids=lambda p: p.stem,
)
def test_small_images_lie_anywhere_in_crops_of_the_mean_colour(config, data_root):
    cfg = Config.fromfile(config)
    dataset = cfg.train_dataloader.dataset
    dataset.dataset.data_root = str(data_root)
    dataset.data_prefix.seg_map_path = str(data_root / 'SegmentationClass')
    dataset = DATASETS.build(dataset)
    boxes, preprocess = set(), MODELS.build(cfg.model.data_preprocessor)
    for packed in (dataset[0] for _ in range(3)):
        sample = packed['data_samples']
        boxes.add(sample.valid_box[:2])
        batch = preprocess(dict(inputs=[packed['inputs']], data_samples=[sample]), training=True)
        top, left, bottom, right = sample.valid_box
        outside = torch.ones(packed['inputs'].shape[1:], dtype=torch.bool)
        outside[top:bottom, left:right] = False
        assert outside.any()
        assert not batch['inputs'][0][:, outside].any()
        assert (batch['data_samples'][0].gt_sem_seg.data[0][outside] == 255).all()
    assert len(boxes) > 1


# dense CRF


def test_crf_is_the_dense_crf_called_by_hand(picture):
    with torch.no_grad():
        plain = build(crf=None).test_step(view(picture))[0].seg_logits.data
        refined = build().test_step(view(picture))[0]
    expected = by_hand(picture[1], plain)
    torch.testing.assert_close(refined.seg_logits.data.softmax(0), expected)
    assert torch.equal(refined.pred_sem_seg.data[0], expected.argmax(0))
    changed = (expected.argmax(0) != plain.argmax(0)).float().mean()
    assert changed > 0.01


@pytest.mark.parametrize(('scale', 'flip'), [(2, False), (2, True)])
def test_crf_sees_the_original_image_whatever_the_network_sees(picture, scale, flip):
    with torch.no_grad():
        plain = build(crf=None).test_step(view(picture, scale, flip))[0].seg_logits.data
        refined = build().test_step(view(picture, scale, flip))[0]
    assert plain.shape[1:] == SIZE
    torch.testing.assert_close(refined.seg_logits.data.softmax(0), by_hand(picture[1], plain))


def test_padding_is_cut_off_before_the_crf(picture):
    cfg = dict(MODEL['data_preprocessor'], test_cfg=dict(size_divisor=32))
    with torch.no_grad():
        plain = build(None, data_preprocessor=cfg).test_step(view(picture))[0]
        refined = build(data_preprocessor=cfg).test_step(view(picture))[0]
    assert plain.metainfo['pad_shape'] == (64, 64)
    expected = by_hand(picture[1], plain.seg_logits.data)
    torch.testing.assert_close(refined.seg_logits.data.softmax(0), expected)


def test_views_are_averaged_before_one_crf(picture):
    model = build()
    calls = []
    model.crf.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        alone = build(crf=None)
        data = views(picture)
        single = [
            alone.test_step(dict(inputs=i, data_samples=copy.deepcopy(s)))[0].seg_logits.data
            for i, s in zip(data['inputs'], data['data_samples'], strict=True)
        ]
        merged = CRFTTAModel(module=model).test_step(data)[0]
    expected = by_hand(picture[1], torch.stack(single).mean(0))
    torch.testing.assert_close(merged.seg_logits.data.softmax(0), expected)
    assert torch.equal(merged.pred_sem_seg.data[0], expected.argmax(0))
    assert len(calls) == 1
    # the segmentor by itself refines as before
    with torch.no_grad():
        model.test_step(view(picture))
    assert len(calls) == 2


def test_views_without_crf_are_averaged(picture):
    model = build(crf=None)
    data = views(picture)
    with torch.no_grad():
        merged = CRFTTAModel(module=model).test_step(copy.deepcopy(data))[0]
        single = [
            model.test_step(dict(inputs=i, data_samples=s))[0].seg_logits.data
            for i, s in zip(data['inputs'], data['data_samples'], strict=True)
        ]
    torch.testing.assert_close(merged.seg_logits.data, torch.stack(single).mean(0))
    assert merged.pred_sem_seg.data.shape == (1, *SIZE)


def test_sliding_window_is_refined_too(picture):
    slide = dict(mode='slide', crop_size=(24, 24), stride=(16, 16))
    with torch.no_grad():
        plain = build(test_cfg=slide).test_step(view(picture))[0].seg_logits.data
        refined = build(test_cfg=dict(slide, crf=CRF)).test_step(view(picture))[0]
    torch.testing.assert_close(refined.seg_logits.data.softmax(0), by_hand(picture[1], plain))


def test_image_that_does_not_come_from_a_file_is_refused(picture):
    data = view((None, picture[1]))
    data['data_samples'][0].set_metainfo(dict(img_path=None))
    with pytest.raises(ValueError, match='the sample has no img_path: predict from files'):
        build().test_step(data)


def test_file_of_another_size_is_named(picture):
    data = view(picture)
    save_image(picture[0], picture[1][:-1])
    with pytest.raises(ValueError, match=r'dog\.png is 56 x 39 where 56 x 40 was loaded'):
        build().test_step(data)


def test_crf_needs_a_channel_for_each_class():
    head = dict(HEAD, num_classes=2, out_channels=1, threshold=0.5)
    with pytest.raises(ValueError, match='test_cfg.crf needs a channel for each class'):
        build(decode_head=head)


def test_tta_model_refuses_another_segmentor():
    with pytest.raises(TypeError, match='got a EncoderDecoder: use SegTTAModel for it'):
        CRFTTAModel(module=build(crf=None, type='EncoderDecoder'))


def test_training_is_that_of_the_ordinary_segmentor(picture):
    data = view(picture)
    data['data_samples'][0].set_metainfo(dict(img_path='nowhere.jpg'))
    inputs = torch.rand(1, 3, *SIZE)
    theirs = build(crf=None, type='EncoderDecoder')
    with torch.no_grad():
        assert torch.equal(build()(inputs, mode='tensor'), theirs(inputs, mode='tensor'))
    assert build().state_dict().keys() == theirs.state_dict().keys()
