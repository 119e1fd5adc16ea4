"""CAMWalk: to the grid and back, with the published numbers of both methods."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import METRICS, MODELS
from PIL import Image

from mmwsss.evaluation import read_cam_file, write_cam_file
from mmwsss.models import CAMWalk, RandomWalk
from mmwsss.models.converters.convolutional import AFFINITYNET, affinitynet_shapes
from mmwsss.models.converters.foreign_weights import convert_weights
from tests.loading import load_file

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference'
CONFIGS = sorted((ROOT / 'configs/_base_/models').glob('affinitynet_*.py'))
CONFIGS += sorted((ROOT / 'configs/_base_/models').glob('irn_*.py'))


@pytest.fixture(scope='module')
def affinitynet():
    """AffinityNet of the public config with the synthetic published weights, and the config."""
    synth = load_file(REFERENCE / 'synth_weights.py')
    names = REFERENCE / 'seam/affinitynet_resnet38.spec.json'
    weights = {k: torch.from_numpy(v) for k, v in synth.synth_state_dict(names, 2022).items()}
    path = ROOT / 'configs/affinitynet/affinitynet_r38_voc.py'
    cfg = Config.fromfile(path, import_custom_modules=False)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    weights = convert_weights(weights, AFFINITYNET, affinitynet_shapes(), 'weights')
    model.load_state_dict(weights, strict=True)
    return model.eval(), cfg


def test_affinitynet_walks_as_published(affinitynet, tmp_path):
    """From the files of image and maps to the file of the walk, by the public config."""
    model, cfg = affinitynet
    with np.load(REFERENCE / 'seam/affinitynet.npz') as file:
        data = {name: file[name] for name in file if name.startswith('rw_')}
    Image.fromarray(data['rw_image']).save(tmp_path / 'a.png')
    write_cam_file(tmp_path / 'cams/a.npz', data['rw_classes'], data['rw_cam'], dtype='float32')
    info = dict(img_path=str(tmp_path / 'a.png'), gt_label=[], num_classes=21, seg_fields=[])
    batch = pseudo_collate([Compose(cfg.test_pipeline)(info)])
    with torch.no_grad():
        sample = model.test_step(batch)[0]
    writer = METRICS.build(
        dict(
            type='WalkWriter',
            cam_dir=str(tmp_path / 'cams'),
            out_dir=str(tmp_path / 'walks'),
            walk=cfg.walk,
            dtype='float32',
        )
    )
    writer.dataset_meta = dict(classes=range(21))
    writer.process(batch, [sample.to_dict()])
    keys, walked = read_cam_file(tmp_path / 'walks/a.npz', 21)
    assert keys.tolist() == data['rw_classes'].tolist()
    height, width = walked.shape[1:]
    background, *maps = data['rw_net_prob'][:, :height, :width]
    expected = np.stack(maps) / (np.max(maps, axis=0) + background)
    np.testing.assert_allclose(walked, expected, rtol=1e-3, atol=1e-4)
    for score in (0.5, 1 - walked.max(axis=0)):
        planes = np.stack([np.broadcast_to(score, (height, width)), *walked])
        label = np.concatenate([[0], keys + 1])[planes.argmax(0)]
        assert (label != data['rw_net_argmax']).mean() <= 0.002
    assert len(np.unique(data['rw_net_argmax'])) > 1


def test_irn_walks_as_published():
    """Of the maps at stride 4 that the published code begins with."""
    with np.load(REFERENCE / 'semformer/affinity.npz') as file:
        data = {k: torch.from_numpy(file[k]) for k in ('rw_edge', 'rw_cams', 'rw_up')}
        settings = json.loads(str(file['settings']))
    height, width = settings['ori_size']
    walk = CAMWalk(4, beta=10, num_steps=256, affinity='boundary')
    # a map of constant cells gives the cells back where it is resized
    cams = data['rw_cams'].repeat_interleave(4, 1).repeat_interleave(4, 2)
    walked = walk(None, cams[None], data['rw_edge'][None])[0, :, :height, :width]
    # one largest value for both classes, of the part that is shown
    torch.testing.assert_close(walked / walked.max(), data['rw_up'], rtol=1e-3, atol=1e-4)


def test_averages_and_background_by_hand():
    cams, features = torch.rand(1, 2, 13, 18), torch.randn(1, 3, 2, 3)
    walk = CAMWalk(8, bg_alpha=6, beta=2, num_steps=4)
    planes = torch.cat([(1 - cams.amax(1, keepdim=True)) ** 6, cams], dim=1)
    cells = F.avg_pool2d(F.pad(planes, (0, 6, 0, 3)), 8)
    walked = RandomWalk(2, 4)(None, cells, features)
    walked = F.interpolate(walked, scale_factor=8, mode='bilinear')[..., :13, :18]
    expected = walked[:, 1:] / (walked[:, 1:].amax(1, keepdim=True) + walked[:, :1])
    torch.testing.assert_close(walk(None, cams, features), expected)


def test_a_constant_background_walks_along():
    cams, features = torch.rand(1, 2, 13, 18), torch.randn(1, 3, 2, 3)
    walk = CAMWalk(8, bg_score=0.4, beta=2, num_steps=4)
    planes = torch.cat([torch.full_like(cams[:, :1], 0.4), cams], dim=1)
    cells = F.avg_pool2d(F.pad(planes, (0, 6, 0, 3)), 8)
    walked = RandomWalk(2, 4)(None, cells, features)
    walked = F.interpolate(walked, scale_factor=8, mode='bilinear')[..., :13, :18]
    expected = walked[:, 1:] / (walked[:, 1:].amax(1, keepdim=True) + walked[:, :1])
    torch.testing.assert_close(walk(None, cams, features), expected)


@pytest.mark.parametrize('settings', [dict(bg_score=0.0), dict(bg_score=0.4, bg_alpha=6)])
def test_wrong_constant_backgrounds(settings):
    with pytest.raises(ValueError, match='bg_score must be positive or None, and None with'):
        CAMWalk(8, **settings, beta=8, num_steps=8)


@pytest.mark.parametrize('size', [(3, 12), (9, 7), (1, 1)])
def test_inner_pairs_of_a_grid_without_any(size):
    walk, cams = RandomWalk(8, 4, pairs='inner'), torch.rand(1, 2, *size)
    assert torch.equal(walk(None, cams, torch.rand(1, 3, *size)), cams)


@pytest.mark.parametrize('config', CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize('size', [(33, 50), (8, 8), (1, 3)])
def test_walks_of_the_configs(config, size):
    settings = Config.fromfile(config).walk
    walk = MODELS.build(settings)
    grid = [-(-n // walk.stride) for n in size]
    boundary = settings.affinity == 'boundary'
    guide = torch.rand(1, 1 if boundary else 5, *grid)
    assert walk.guide_key == ('edge' if boundary else 'affinity_features')
    walked = walk(None, torch.rand(1, 3, *size) - 0.1, guide)
    assert walked.shape == (1, 3, *size)
    assert walked.isfinite().all()
    assert 0 <= walked.min() <= walked.max() <= 1


@pytest.mark.parametrize('affinity', ['features', 'boundary'])
def test_a_map_that_is_nowhere_positive_stays_nothing(affinity):
    alpha = dict(bg_alpha=6) if affinity == 'features' else {}
    walk = CAMWalk(4, beta=8, num_steps=8, affinity=affinity, **alpha)
    cams = torch.stack([torch.full((8, 12), -1.0), torch.rand(8, 12)])
    guide = torch.rand(1, 1, 2, 3)
    assert not walk(None, cams[None, :1], guide).any()
    walked = walk(None, cams[None], guide)[0]
    assert not walked[0].any()
    # nor does a negative spot take from its neighbours
    cams[1, 2:4, 2:4] = -1
    assert torch.equal(walk(None, cams[None], guide), walk(None, cams[None].relu(), guide))
    walked = walk(None, cams[None], guide)[0]
    torch.testing.assert_close(walked[1:], walk(None, cams[None, 1:], guide)[0])


@pytest.mark.parametrize('alpha', [None, 6])
def test_an_image_without_classes_has_no_maps(alpha):
    walk = CAMWalk(8, bg_alpha=alpha, beta=8, num_steps=8)
    walked = walk(None, torch.zeros(1, 0, 9, 7), torch.rand(1, 1, 2, 1))
    assert walked.shape == (1, 0, 9, 7)


def test_padding_of_the_image_is_cut_off():
    """Features of padded cells, far from the others, change nothing."""
    cams, features = torch.rand(1, 2, 16, 16), torch.zeros(1, 4, 2, 2)
    walk = CAMWalk(8, bg_alpha=6, beta=8, num_steps=16)
    padded = F.pad(features, (0, 1, 0, 1), value=1e4)
    one, other = walk(None, cams, features), walk(None, cams, padded)
    assert other.shape == (1, 2, 16, 16)
    # inside, where no padded cell takes part in enlarging
    torch.testing.assert_close(one[..., :12, :12], other[..., :12, :12])


@pytest.mark.parametrize('size', [(17, 8), (8, 25)])
def test_refuses_a_guide_that_is_too_small(size):
    walk = CAMWalk(8, beta=8, num_steps=8)
    with pytest.raises(
        ValueError, match=r'CAMWalk: a guide of \(2, 3\) cells of 8 pixels does not'
    ):
        walk(None, torch.rand(1, 1, *size), torch.rand(1, 4, 2, 3))


@pytest.mark.parametrize('settings', [dict(stride=0), dict(stride=8, bg_alpha=0)])
def test_wrong_settings(settings):
    with pytest.raises(
        ValueError, match='CAMWalk: stride must be at least 1 and bg_alpha positive'
    ):
        CAMWalk(**settings, beta=8, num_steps=8)
