"""AFA's network against the numbers of the published implementation, through the converter."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmwsss.models import ScaleMaxTTAModel
from mmwsss.models.converters import published_to_afa
from mmwsss.models.segmentors.afa_labels import Spreading, phase_of, pseudo_masks
from mmwsss.models.segmentors.online_labels import eight_bit_images, known_images
from mmwsss.ops import min_max_norm, threshold_labels

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference'
TOLERANCE = dict(rtol=1e-3, atol=1e-4)


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(name):
    with np.load(REFERENCE / f'afa/{name}.npz') as file:
        settings = json.loads(str(file['settings']))
        return {k: torch.from_numpy(file[k]) for k in file if k != 'settings'}, settings


@pytest.fixture(scope='module')
def afa(tmp_path_factory):
    """Build the public model at MiT-B0's width with published weights put through the tool."""
    synth = module_of(REFERENCE / 'synth_weights.py')
    weights = synth.synth_state_dict(REFERENCE / 'afa/wetr_mit_b0.spec.json', 2022)
    folder = tmp_path_factory.mktemp('afa')
    weights = {f'module.{name}': torch.from_numpy(value) for name, value in weights.items()}
    torch.save(weights, folder / 'published.pth')
    tool = module_of(ROOT / 'tools/model_converters/afa2mmwsss.py')
    assert tool.convert(folder / 'published.pth', folder / 'converted.pth')[1] == 21
    init_default_scope('mmseg')
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/afa_mit-b1.py').model
    cfg.backbone.update(embed_dims=32, init_cfg=None)
    cfg.cam_head.in_channels = 256
    cfg.decode_head.in_channels = [32, 64, 160, 256]
    cfg.loss_reg = None  # the published code has none
    model = MODELS.build(cfg)
    load_checkpoint(model, str(folder / 'converted.pth'), strict=True)
    return model.eval()


@pytest.mark.parametrize('prefix', ['', 'odd_'])
def test_forward(afa, prefix):
    data, _ = load('wetr_forward')
    with torch.no_grad():
        outputs = afa(data[f'{prefix}inputs'], mode='tensor')
    names = dict(cls='cls', seg='seg', attn_pred='attn_pred', cam='cam_s4')
    for ours, theirs in names.items():
        torch.testing.assert_close(outputs[ours], data[prefix + theirs], **TOLERANCE)
    logit = outputs['attn_logit']
    torch.testing.assert_close(logit, data[f'{prefix}attn_logit'], rtol=1e-3, atol=1e-3)
    if not prefix:
        torch.testing.assert_close(outputs['attn_pred'], data['cam_attn_pred'], **TOLERANCE)


@pytest.mark.parametrize('prefix', ['', 'odd_'])
def test_attention_of_every_block(afa, prefix):
    data, _ = load('wetr_forward')
    inputs = data[f'{prefix}inputs']
    backbone = MODELS.build(
        dict(
            type='AttentionMiT',
            embed_dims=32,
            num_layers=[2, 2, 2, 2],
            num_heads=[1, 2, 5, 8],
            strides=[4, 2, 2, 1],
            embed_norm_cfg=dict(type='LN', eps=1e-5),
            attention_blocks=range(8),
        )
    ).eval()
    backbone.load_state_dict(afa.backbone.state_dict())
    with torch.no_grad():
        feats, attentions = backbone(inputs, return_attention=True)
    checks = data[f'{prefix}attn_checks']
    for i, x in enumerate(attentions):
        ratio = backbone.sr_ratios[i // 2]
        if ratio > 1:
            # the published tensor averages the queries of each window that a key stands for
            keys, grid = x.transpose(2, 3).flatten(1, 2), feats[i // 2].shape[2:]
            x = F.avg_pool2d(keys.unflatten(2, grid), ratio).flatten(2)
            x = x.unflatten(1, (attentions[i].shape[1], -1)).transpose(2, 3)
        assert list(x.shape) == data[f'{prefix}attn_shapes'][i].tolist()
        x, (total, squares, absolute) = x.double(), checks[i]
        assert (x.sum() - total).abs() <= 1e-4 * absolute
        torch.testing.assert_close(x.square().sum(), squares, rtol=1e-3, atol=0)
        torch.testing.assert_close(x.abs().sum(), absolute, rtol=1e-3, atol=0)


@pytest.mark.parametrize('shared', [False, True])
def test_multi_scale_cams(afa, shared):
    data, settings = load('multi_scale_cam')
    assert list(afa.cam_scales) == settings['scales']
    outputs = None
    if shared:
        with torch.no_grad():
            outputs = afa(data['inputs'], mode='tensor')
    passes = []
    hook = afa.backbone.register_forward_hook(lambda _, args, __: passes.append(len(args[0])))
    cams, affinity, grid = afa.multi_scale_cams(data['inputs'], outputs)
    hook.remove()
    torch.testing.assert_close(min_max_norm(cams), data['cam'], **TOLERANCE)
    torch.testing.assert_close(affinity, data['aff_mat'][:2], **TOLERANCE)
    assert grid == (6, 9)
    assert sum(passes) == (10 if shared else 12)


def test_spread_cams(afa, monkeypatch):
    data, settings = load('pseudo_labels')
    for bg_score, key in (('l', 'low_thre'), ('h', 'high_thre')):
        monkeypatch.setitem(afa.test_cfg, 'spread_bg_score', settings[key])
        spread = afa.spread_cams(data['cams'], data['aff_mat'], (12, 9), data['cls_labels'])
        torch.testing.assert_close(spread, data[f'aff_cam_{bg_score}'], **TOLERANCE)


def test_multi_scale_segmentation(afa, monkeypatch):
    data, settings = load('multi_scale_cam')
    inputs = data['eval_inputs']
    tta = ScaleMaxTTAModel(afa, settings['eval_scales'], long_side=settings['resize_long'])
    seen = []
    hook = afa.backbone.register_forward_hook(
        lambda _, args, feats: seen.append((args[0], afa.decode_head(feats)))
    )
    sample = SegDataSample(metainfo=dict(ori_shape=(75, 100)))
    # its work is done
    monkeypatch.setattr(afa.data_preprocessor, 'forward', lambda batch, training: batch)
    with torch.no_grad():
        merged = tta.merged_logits(inputs)
        sample = tta.test_step(dict(inputs=inputs, data_samples=[sample]))[0]
    hook.remove()
    sizes = [list(x.shape[2:]) for x, _ in seen[:3]]
    assert sizes == data['eval_sizes'].tolist()
    torch.testing.assert_close(seen[0][1][:1], data['eval_seg'], **TOLERANCE)
    torch.testing.assert_close(merged, data['eval_msc_seg'], **TOLERANCE)
    wrong = sample.pred_sem_seg.data != data['eval_msc_label']
    assert wrong.sum() <= 8


# a whole step of training

COCO = dict(warmup_iters=5000, switch_iters=15000, pairs_from='affinity', num_iters=15)
STEPS = {
    'step1000': (1000, {}, 8),
    'step3000': (3000, {}, 8),
    'step9000': (9000, {}, 8),
    'step9000_r3': (9000, {}, 3),
    'coco9000': (9000, COCO, 8),
    'coco20000': (20000, COCO, 8),
}


@pytest.fixture(scope='module')
def step():
    """Return the batch of the step, the numbers, and the names of the gradients."""
    data, settings = load('losses')
    samples = []
    for tags, (top, bottom, left, right) in zip(
        data['step_cls_labels'], data['step_img_box'].tolist(), strict=True
    ):
        sample = SegDataSample(metainfo=dict(valid_box=(top, left, bottom, right)))
        sample.set_data(dict(gt_score=tags, gt_label=tags.nonzero().flatten()))
        samples.append(sample)
    return data, samples, settings['grad_names']


@pytest.fixture
def train(afa, step, monkeypatch):
    """Return a function that gives the losses of an iteration of a training."""

    def train(iteration, train_cfg=None, radius=8):
        monkeypatch.setattr(afa, 'radius', radius)
        settings = dict(train_cfg or {})
        monkeypatch.setattr(afa.refiner, 'num_iters', settings.pop('num_iters', 10))
        for key, value in settings.items():
            monkeypatch.setitem(afa.train_cfg, key, value)
        MessageHub.get_current_instance().update_info('iter', iteration)
        afa.zero_grad()
        return afa(step[0]['step_inputs'], step[1], mode='loss')

    return train


def grad_norms(afa, names):
    norms = []
    for name in names:
        if name.endswith('attn.q.weight'):
            # one matrix for queries, keys and values
            grad = afa.backbone.layers[3][1][1].attn.attn.in_proj_weight.grad
            grad = None if grad is None else grad[: len(grad) // 3]
        else:
            grad = afa.get_parameter(published_to_afa(name)).grad
        norms.append(0.0 if grad is None else grad.norm().item())
    return torch.tensor(norms, dtype=torch.float64)


def test_images_are_cut_to_8_bits(afa, step):
    data, _, _ = step
    preprocessor = afa.data_preprocessor
    images = eight_bit_images(data['step_inputs'], preprocessor.mean, preprocessor.std)
    assert torch.equal(images, data['step_images_u8'].float())


@pytest.mark.parametrize(
    ('train_cfg', 'radius', 'cam', 'affinity'),
    [
        ({}, 8, 'step_refined_pseudo_label', 'step_refined_aff_label'),
        ({}, 3, 'step_refined_pseudo_label', 'step_refined_aff_label_r3'),
        (COCO, 8, 'coco_refined_pseudo_label', 'coco_refined_aff_label'),
    ],
)
def test_pseudo_masks_of_a_step(afa, step, monkeypatch, train_cfg, radius, cam, affinity):
    data, samples, _ = step
    cfg = {**afa.train_cfg, **train_cfg}
    known = known_images(data['step_images_u8'].float(), samples, data['step_cls_labels'])
    found = afa.multi_scale_cams(data['step_inputs'])
    cams = min_max_norm(found.cams)
    torch.testing.assert_close(cams[..., 2::4, 2::4], data['step_cams_sub'], **TOLERANCE)
    plain = threshold_labels(cams, known.classes, cfg['bg_scores'], known.valid)
    monkeypatch.setattr(afa.refiner, 'num_iters', cfg.get('num_iters', 10))
    masks = pseudo_masks(
        known,
        found,
        ('cam', 'affinity'),
        afa.refine,
        spreading=Spreading(radius, 2.0, 0.1),
        bg_scores=cfg['bg_scores'],
    )
    names = {'step_pseudo_label': plain, cam: masks['cam'], affinity: masks['affinity']}
    for name, labels in names.items():
        wrong = (labels != data[name]).flatten(1).sum(dim=1)
        assert (wrong <= 8).all(), f'{name}: pixels that differ: {wrong.tolist()}'


@pytest.mark.parametrize('name', STEPS)
def test_losses_and_gradients_of_a_step(afa, step, train, name):
    data, _, names = step
    losses = train(*STEPS[name])
    assert set(losses) == {'loss_cls', 'loss_affinity', 'loss_seg'}
    found = torch.stack([losses[f'loss_{key}'] for key in ('cls', 'affinity', 'seg')])
    cls, affinity, seg, total = data[f'{name}_losses']
    weight = 0 if name == 'step1000' else 0.1
    expected = torch.stack([cls, weight * affinity, weight * seg])
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(found.sum().double(), total, rtol=1e-4, atol=0)
    found.sum().backward()
    expected = data[f'{name}_grad_norms']
    torch.testing.assert_close(grad_norms(afa, names), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize('key', ['cls', 'affinity', 'seg'])
def test_gradient_of_each_loss(afa, step, train, key):
    data, _, names = step
    published = dict(cls='cls', affinity='aff', seg='seg')[key]
    loss = train(9000)[f'loss_{key}']
    (loss if key == 'cls' else loss * 10).backward()
    expected = data[f'step9000_grad_norms_{published}_loss']
    torch.testing.assert_close(grad_norms(afa, names), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ('cfg', 'changes'),
    [
        ({}, {2001: ('cam', 'cam'), 6001: ('affinity', 'cam')}),
        (COCO, {5001: ('cam', 'cam'), 15001: ('affinity', 'affinity')}),
    ],
)
def test_phases_begin_behind_the_iterations_of_the_settings(afa, cfg, changes):
    cfg, now, found = {**afa.train_cfg, **cfg}, (None, None), {}
    for iteration in range(20000):
        if phase_of(iteration, cfg) != now:
            found[iteration] = now = phase_of(iteration, cfg)
    assert found == changes
    # where the fixture has an iteration
    assert phase_of(1000, cfg).segmentation is None


def test_learning_rates(repo):
    data, settings = load('losses')
    cfg = Config.fromfile(repo / 'configs/afa/afa_mit-b1_voc.py')
    assert cfg.train_cfg.max_iters == settings['schedule']['max_iter']
    parts = ('backbone', 'cam_head', 'affinity_head', 'decode_head')
    model = nn.ModuleDict({part: nn.Linear(1, 1) for part in parts})
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    assert {group['weight_decay'] for group in optimizer.param_groups} == {0.01}
    schedulers = [
        PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer))
        for scheduler in cfg.param_scheduler
    ]
    found = {}
    for i in range(cfg.train_cfg.max_iters):
        found[i] = [group['lr'] for group in optimizer.param_groups]
        if not i:
            optimizer.step()  # a scheduler that nothing is learned with warns
        for scheduler in schedulers:
            scheduler.step()
    # the published group without learning rate, the norms of the encoder, is frozen here
    low, frozen, high = data['sched_lr'].T
    assert not frozen.any()
    expected = torch.stack([low, low, high, high], dim=1)
    rates = torch.tensor([found[i] for i in data['sched_steps'].tolist()], dtype=torch.float64)
    torch.testing.assert_close(rates, expected, rtol=1e-6, atol=0)


def test_norms_of_the_encoder_are_frozen(afa):
    frozen = {name for name, p in afa.named_parameters() if not p.requires_grad}
    norms = {
        f'{name}.{kind}'
        for name, part in afa.backbone.named_modules(prefix='backbone')
        if isinstance(part, nn.LayerNorm)
        for kind in ('weight', 'bias')
    }
    assert frozen == norms
