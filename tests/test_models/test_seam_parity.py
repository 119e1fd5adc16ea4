"""SEAM against the numbers of the published implementation, through converter and config."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image

from mmwsss.models import CAMTTAModel
from mmwsss.models.converters.convolutional import SEAM
from mmwsss.models.losses import (
    equivariant_cross_loss,
    equivariant_loss,
    min_pooling_loss,
)
from mmwsss.models.segmentors.seam import correlation_input
from mmwsss.ops import keep_maximum, max_norm, normalize_cam, pixel_correlation
from tests.loading import load_file

pytestmark = pytest.mark.stack
REFERENCE = Path(__file__).parents[1] / 'data/reference'
SYNTH = load_file(REFERENCE / 'synth_weights.py')
TOLERANCE = dict(rtol=1e-3, atol=1e-4)


def load(name):
    with np.load(REFERENCE / 'seam' / f'{name}.npz') as file:
        return {
            key: torch.from_numpy(value) if value.dtype.kind in 'fiub' else value
            for key, value in file.items()
        }


def check_sums(x, data, name, step):
    assert tuple(x.shape) == tuple(data[f'{name}_shape'].tolist())
    x = x.detach()
    torch.testing.assert_close(x.flatten()[::step], data[f'{name}_sample'], **TOLERANCE)
    wide = x.double()
    for value, key in ((wide.sum(), 'sum'), (wide.square().sum(), 'sumsq')):
        torch.testing.assert_close(value, data[f'{name}_{key}'].double(), rtol=1e-3, atol=1e-3)


@pytest.fixture(scope='module')
def cfg(repo):
    return Config.fromfile(repo / 'configs/seam/seam_r38_voc.py')


@pytest.fixture(scope='module')
def seam(cfg, repo, tmp_path_factory):
    """Build the public config with synthetic published weights put through the converter."""
    weights = SYNTH.synth_state_dict(REFERENCE / 'seam/seam_resnet38.spec.json', 2022)
    folder = tmp_path_factory.mktemp('seam')
    source, target = folder / 'published.pth', folder / 'converted.pth'
    torch.save({k: torch.from_numpy(v) for k, v in weights.items()}, source)
    tool = repo / 'tools/model_converters/seam2mmwsss.py'
    subprocess.run([sys.executable, tool, source, target], check=True, cwd=repo)
    init_default_scope(cfg.default_scope)  # tests set it one by one, after this
    model = MODELS.build(cfg.model)
    load_checkpoint(model, str(target), strict=True)
    for path in (source, target):
        path.unlink()
    return model.eval()


def samples(labels, **meta):
    out = []
    for label in labels:
        sample = SegDataSample(metainfo=meta)
        sample.set_data(dict(gt_score=label.float()))
        out.append(sample)
    return out


def test_backbone(seam):
    data = load('resnet38_forward')
    # the backbone alone was computed with the same rule: its names are a part of the network's
    expected = torch.from_numpy(SYNTH.synth_array('conv1a.weight', (64, 3, 3, 3), 2022))
    assert torch.equal(seam.backbone.conv1.weight, expected)
    with torch.no_grad():
        outputs = seam.backbone(data['input'])
    for name, x in zip(('conv3', 'conv4', 'conv5', 'conv6'), outputs, strict=True):
        check_sums(x, data, name, 97)


def test_forward(seam):
    data = load('seam_forward')
    with torch.no_grad():
        outputs = seam(data['input'], mode='tensor')
        low = seam.cam_head(seam.extract_feat(data['input']))[0]
    torch.testing.assert_close(low, data['cam_low'], **TOLERANCE)
    torch.testing.assert_close(outputs['cam'][..., ::2, ::2], data['cam'], **TOLERANCE)
    refined = outputs['cam_rv'][..., ::2, ::2]
    torch.testing.assert_close(refined, data['cam_rv'], rtol=1e-3, atol=1e-5)
    for name in ('cam', 'cam_rv'):
        x = outputs[name].double()
        assert tuple(x.shape) == tuple(data[f'{name}_shape'].tolist())
        for value, key in ((x.sum(), 'sum'), (x.square().sum(), 'sumsq')):
            expected = data[f'{name}_{key}'].double()
            torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(outputs['cls'], outputs['cam'][:, 1:].mean((2, 3)))


@pytest.mark.parametrize('max_elements', [2**27, 88 * 5])
def test_pixel_correlation(seam, max_elements):
    data = load('pcm')
    normalised = correlation_input(data['norm_input'])
    torch.testing.assert_close(normalised, data['norm_output'], rtol=0, atol=1e-6)
    with torch.no_grad():
        keys = seam.pcm.project(data['pcm_feature']).flatten(2)
    keys = keys / (keys.norm(dim=1, keepdim=True) + 1e-5)
    torch.testing.assert_close((keys.transpose(1, 2) @ keys)[0], data['cosine'], **TOLERANCE)
    refined = pixel_correlation(keys, data['pcm_cam'].flatten(2), max_elements=max_elements)
    torch.testing.assert_close(refined, data['pcm_output'].flatten(2), rtol=1e-3, atol=1e-6)


def test_training_step(seam):
    data = load('seam_losses')
    small = seam.transformation(data['image']).images
    assert tuple(small.shape[2:]) == tuple(data['image_small_size'].tolist())
    seam.zero_grad()
    losses = seam(data['image'], samples(data['label']), mode='loss')
    expected = {
        'loss_cls': (data['net_loss_cls1'] + data['net_loss_cls2']) / 2,
        'loss_rvmin': (data['net_loss_rvmin1'] + data['net_loss_rvmin2']) / 2,
        'loss_er': data['net_loss_er'],
        'loss_ecr': data['net_loss_ecr1'] + data['net_loss_ecr2'],
    }
    assert set(losses) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name].double(), value.double(), rtol=1e-4, atol=1e-5)
    total = sum(losses.values())
    torch.testing.assert_close(total.double(), data['net_loss'].double(), rtol=1e-5, atol=1e-5)
    total.backward()
    parameters = dict(seam.named_parameters())
    for name, norm in zip(data['grad_names'], data['grad_norms'].tolist(), strict=True):
        assert parameters[SEAM(str(name))].grad.norm().item() == pytest.approx(norm, rel=1e-3)
    for name in data['no_grad_conv']:
        assert parameters[SEAM(str(name))].grad is None
    seam.zero_grad()


def test_losses_on_stored_maps():
    data = load('seam_losses')
    maps = {k: data[k].requires_grad_() for k in ('cam1', 'cam_rv1', 'cam2', 'cam_rv2')}
    size = tuple(data['map_small_size'].tolist())
    tags = torch.cat([torch.ones(2, 1), data['label'].float()], dim=1)[..., None, None]
    for name in maps:
        check_sums(max_norm(maps[name]), data, f'max_norm_{name}', 29)

    def shrink(x):
        return torch.nn.functional.interpolate(x, size, mode='bilinear', align_corners=True)

    small = {k: max_norm(v) * tags for k, v in maps.items() if k.endswith('2')}
    small |= {k: shrink(max_norm(v)) * tags for k, v in maps.items() if k.endswith('1')}
    for branch in '12':
        refined = data[f'small_cam_rv{branch}']
        torch.testing.assert_close(small[f'cam_rv{branch}'], refined, **TOLERANCE)
        one_hot = keep_maximum(small[f'cam{branch}'])
        torch.testing.assert_close(one_hot, data[f'onehot_cam{branch}'], **TOLERANCE)
        torch.testing.assert_close(one_hot[:, 0], data[f'small_cam{branch}'][:, 0], **TOLERANCE)
    losses = dict(
        cls1=classification(maps['cam1'], data['label']),
        cls2=classification(maps['cam2'], data['label']),
        rvmin1=min_pooling_loss(maps['cam_rv1'][:, 1:] * tags[:, 1:]),
        rvmin2=min_pooling_loss(maps['cam_rv2'][:, 1:] * tags[:, 1:]),
        er=equivariant_loss(small['cam1'][:, 1:], small['cam2'][:, 1:]),
        ecr1=equivariant_cross_loss(small['cam_rv1'], keep_maximum(small['cam2'].detach())),
        ecr2=equivariant_cross_loss(small['cam_rv2'], keep_maximum(small['cam1'].detach())),
    )
    losses['cls'] = sum(losses[k] for k in ('cls1', 'cls2', 'rvmin1', 'rvmin2')) / 2
    losses['ecr'] = losses['ecr1'] + losses['ecr2']
    for name, value in losses.items():
        expected = data[f'map_loss_{name}'].double()
        torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-6)
    total = losses['cls'] + losses['er'] + losses['ecr']
    torch.testing.assert_close(total.double(), data['map_loss'].double(), rtol=1e-4, atol=1e-6)
    total.backward()
    for name, x in maps.items():
        grad = x.grad
        norm = data[f'grad_{name}_norm'].float()
        torch.testing.assert_close(grad.norm(), norm, rtol=1e-3, atol=1e-6)
        channels = grad.transpose(0, 1).flatten(1).norm(dim=1)
        expected = data[f'grad_{name}_channel_norm'].float()
        torch.testing.assert_close(channels, expected, rtol=1e-3, atol=1e-6)
        sample = data[f'grad_{name}_sample']
        torch.testing.assert_close(grad.flatten()[::11], sample, rtol=1e-3, atol=1e-6)


def classification(cam, labels):
    return torch.nn.functional.multilabel_soft_margin_loss(cam[:, 1:].mean((2, 3)), labels.float())


def test_multi_scale_cams(seam, cfg, tmp_path):
    data = load('seam_cam')
    path = tmp_path / 'image.png'
    Image.fromarray(data['image'].numpy()).save(path)
    pipeline = [t for t in cfg.tta_pipeline if t['type'] != 'TestTimeAug']
    views = next(t for t in cfg.tta_pipeline if t['type'] == 'TestTimeAug')
    steps = [t for t in views['transforms'] if t[0]['type'] != 'LoadMaskChecked']
    pipeline.append(dict(views, transforms=steps))
    label = data['label'].nonzero().flatten().tolist()
    info = dict(img_path=str(path), gt_label=label, num_classes=21, seg_fields=[])
    batch = pseudo_collate([Compose(pipeline)(info)])
    for i, size in enumerate(data['scaled_sizes'].tolist()):
        x = seam.data_preprocessor(
            dict(inputs=batch['inputs'][i], data_samples=batch['data_samples'][i])
        )['inputs'].double()
        assert list(x.shape[2:]) == size
        torch.testing.assert_close(x.sum(), data['scaled_input_sums'][i].double(), **TOLERANCE)
        squares = data['scaled_input_sumsqs'][i].double()
        torch.testing.assert_close(x.square().sum(), squares, rtol=1e-4, atol=1e-3)
    with torch.no_grad():
        sample = CAMTTAModel(module=seam).test_step(batch)[0]
    classes = data['classes'].long()
    torch.testing.assert_close(sample.cams.data[classes].relu(), data['sum_cam'], **TOLERANCE)
    scores = sample.seg_logits.data[1:]
    # where the map is flat the division makes a large number of a small difference
    torch.testing.assert_close(scores[classes], data['norm_cam'], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        normalize_cam(data['sum_cam']), data['norm_cam'], rtol=1e-4, atol=1e-5
    )
    absent = torch.ones(20, dtype=torch.bool)
    absent[classes] = False
    assert torch.equal(scores[absent], data['absent_norm_cam'].float().expand(18, 61, 85))
    background = data['pred_background'].item()
    assert background == pytest.approx(cfg.model.test_cfg.bg_score)
    wrong = (sample.pred_sem_seg.data[0] != data['pred']).float().mean()
    assert wrong <= 0.002
