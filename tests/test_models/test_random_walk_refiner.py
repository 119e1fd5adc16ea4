"""RandomWalk against the numbers of the published implementations, and its border."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmwsss.models import RandomWalk
from mmwsss.ops import half_disc_offsets, pair_slices

REFERENCE = Path(__file__).parents[1] / 'data/reference/semformer/affinity.npz'


@pytest.fixture(scope='module')
def irn():
    with np.load(REFERENCE) as file:
        return {k: torch.from_numpy(v) for k, v in file.items() if k.startswith('rw_')} | {
            'settings': json.loads(str(file['settings']))
        }


def walk_irn(irn, i):
    settings = irn['settings']['rw'][i]
    walk = RandomWalk(
        settings['beta'],
        2 ** settings['exp_times'],
        affinity='boundary',
        radius=settings['radius'],
    )
    return walk(None, irn['rw_cams'][None], irn['rw_edge'][None])[0]


@pytest.mark.parametrize(('i', 'name'), [(0, 'rw_b10_t8'), (1, 'rw_b5_t3')])
def test_boundaries_agree_with_the_published_walk_of_irn(irn, i, name):
    walked = walk_irn(irn, i)
    torch.testing.assert_close(walked, irn[name][:, 0], rtol=1e-4, atol=1e-6)


def test_the_walk_at_image_size_is_that_of_irn(irn):
    height, width = irn['settings']['ori_size']
    up = F.interpolate(
        walk_irn(irn, 0)[None], scale_factor=irn['settings']['stride'], mode='bilinear'
    )
    up = up[0, :, :height, :width]
    torch.testing.assert_close(up / up.max(), irn['rw_up'], rtol=1e-3, atol=1e-4)


def dense(cams, features, sources, radius, beta, num_steps):
    """Walk on the matrix of all pairs that start in a source."""
    height, width = cams.shape[2:]
    flat = features[0].flatten(1).T.double()
    matrix = torch.eye(len(flat), dtype=torch.float64)
    for dy, dx in half_disc_offsets(radius).tolist():
        for cell in sources:
            y, x = cell // width + dy, cell % width + dx
            if y < height and 0 <= x < width:
                partner = y * width + x
                value = (-(flat[cell] - flat[partner]).abs().mean()).exp()
                matrix[cell, partner] = matrix[partner, cell] = value
    matrix = matrix**beta
    power = torch.linalg.matrix_power(matrix / matrix.sum(0), num_steps)
    return (cams.double().flatten(2) @ power).view_as(cams).float()


@pytest.mark.parametrize('size', [(11, 12), (7, 3), (1, 5), (1, 1)])
def test_features_link_all_pairs_on_the_map(size):
    cams, features = torch.rand(1, 2, *size), torch.randn(1, 6, *size)
    walked = RandomWalk(4, 16)(None, cams, features)
    expected = dense(cams, features, range(size[0] * size[1]), 5, 4, 16)
    torch.testing.assert_close(walked, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ('size', 'radius'), [((11, 13), 5), ((12, 9), 4), ((8, 11), 3), ((6, 5), 2)]
)
def test_published_pairs_are_those_of_cells_with_all_partners(size, radius):
    cams, features = torch.rand(1, 2, *size), torch.randn(1, 6, *size)
    walked = RandomWalk(4, 16, pairs='published')(None, cams, features)
    cells = torch.arange(size[0] * size[1]).view(1, 1, *size)
    sources, targets = pair_slices(cells, radius)
    expected = dense(cams, features, sources.flatten().tolist(), radius, 4, 16)
    torch.testing.assert_close(walked, expected, rtol=0, atol=2e-6)
    alone = torch.ones(size[0] * size[1], dtype=torch.bool)
    alone[sources.flatten()] = alone[targets.flatten()] = False
    assert alone.any()
    assert torch.equal(walked.flatten(2)[..., alone], cams.flatten(2)[..., alone])


@pytest.mark.parametrize('size', [(4, 4), (2, 30), (1, 1)])
def test_published_pairs_of_a_tiny_map_are_none(size):
    cams = torch.rand(1, 2, *size, requires_grad=True)
    walked = RandomWalk(8, 64, pairs='published')(None, cams, torch.randn(1, 3, *size))
    assert torch.equal(walked, cams)
    assert not walked.requires_grad


@pytest.mark.parametrize('size', [(6, 9), (1, 4), (1, 1)])
def test_boundaries_stop_the_walk(size):
    boundary, cams = torch.zeros(1, 1, *size), torch.zeros(1, 1, *size)
    boundary[..., size[1] // 2] = 1
    cams[..., : size[1] // 2 + 1] = 1
    walked = RandomWalk(10, 256, affinity='boundary')(None, cams, boundary)
    expected = cams * (1 - boundary)
    assert torch.equal(walked, expected)


@pytest.mark.parametrize(('affinity', 'channels'), [('features', 5), ('boundary', 1)])
def test_a_batch_is_each_image_alone(affinity, channels):
    cams, guide = torch.rand(3, 2, 7, 6), torch.rand(3, channels, 7, 6)
    walk = RandomWalk(3, 8, affinity=affinity)
    walked = walk(None, cams, guide)
    for i in range(3):
        one = slice(i, i + 1)
        assert torch.equal(walk(None, cams[one], guide[one]), walked[one])


@pytest.mark.parametrize(('affinity', 'channels'), [('features', 5), ('boundary', 1)])
def test_half_precision_is_computed_in_single(affinity, channels):
    cams, guide = torch.rand(1, 2, 7, 6).half(), torch.rand(1, channels, 7, 6).half()
    walk = RandomWalk(3, 8, affinity=affinity)
    walked = walk(None, cams, guide)
    assert walked.dtype == torch.float32
    assert torch.equal(walked, walk(None, cams.float(), guide.float()))


@pytest.mark.stack
def test_is_built_from_a_config():
    walk = MODELS.build(dict(type='RandomWalk', beta=8, num_steps=64, pairs='published'))
    assert not list(walk.parameters())
    features = torch.randn(1, 4, 9, 9, requires_grad=True)
    walked = walk(torch.rand(1, 3, 72, 72), torch.rand(1, 2, 9, 9), features)
    assert walked.shape == (1, 2, 9, 9)
    assert not walked.requires_grad


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(beta=0, num_steps=4), 'beta must be positive.*got 0, 4 and 5'),
        (dict(beta=8, num_steps=-1), 'num_steps not negative.*got 8, -1 and 5'),
        (dict(beta=8, num_steps=4, radius=1), 'radius at least 2, got 8, 4 and 1'),
        (dict(beta=8, num_steps=4, affinity='edges'), "must be one of .*got 'edges' and 'all'"),
        (dict(beta=8, num_steps=4, pairs='some'), "pairs one of .*got 'features' and 'some'"),
        (dict(beta=8, num_steps=4, affinity='boundary', pairs='published'), "set pairs='all'"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=f'RandomWalk: .*{message}'):
        RandomWalk(**settings)


@pytest.mark.parametrize(
    ('affinity', 'shape'),
    [
        ('features', (1, 3, 4, 6)),
        ('features', (2, 3, 4, 5)),
        ('features', (3, 4, 5)),
        ('boundary', (1, 2, 4, 5)),
    ],
)
def test_refuses_a_guide_of_another_shape(affinity, shape):
    with pytest.raises(ValueError, match=f'the {affinity}.*with the same N, h and w, got'):
        RandomWalk(8, 4, affinity=affinity)(None, torch.rand(1, 2, 4, 5), torch.rand(shape))
