"""PAR against the numbers of the published implementation, and as a part of a config."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmwsss.models import PAR

REFERENCE = Path(__file__).parents[1] / 'data/reference/afa/par.npz'


@pytest.fixture(scope='module')
def data():
    with np.load(REFERENCE) as file:
        return {k: torch.from_numpy(v) for k, v in file.items() if v.dtype.kind == 'f'} | {
            'settings': json.loads(str(file['settings']))
        }


@pytest.mark.parametrize('name', ['full', 'short', 'one'])
def test_agrees_with_the_published_numbers(data, name):
    settings, cams = data['settings'][name], data['masks']
    if name == 'one':
        cams = F.interpolate(cams, scale_factor=2, mode='nearest')
    par = PAR(settings['num_iter'], settings['dilations'])
    expected = data[f'refined_{name}']
    torch.testing.assert_close(par(data['imgs'], cams), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.stack
def test_the_default_is_the_published_setting_on_voc(data):
    par = MODELS.build(dict(type='PAR'))
    refined = par(data['imgs'], data['masks'])
    torch.testing.assert_close(refined, data['refined_full'], rtol=1e-4, atol=1e-5)
    assert not list(par.parameters())


def test_weights_of_an_image_serve_all_its_maps(data):
    par = PAR(2, (1, 2))
    weights = par.weights(data['imgs'])
    for cams in (data['masks'][:, :1], data['masks'].flip(1)):
        assert torch.equal(par.refine(weights, cams), par(data['imgs'], cams))


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (9, 7), (20, 2)])
def test_maps_are_brought_to_the_size_of_the_image(size):
    images, cams = torch.rand(2, 3, 9, 7), torch.rand(2, 4, *size)
    aligned = F.interpolate(cams, (9, 7), mode='bilinear', align_corners=True)
    refined = PAR(1)(images, cams)
    assert refined.shape == (2, 4, 9, 7)
    assert torch.equal(refined, PAR(1)(images, aligned))


def test_maps_of_half_precision_are_refined_in_single():
    images, cams = torch.rand(1, 3, 6, 7), torch.rand(1, 2, 3, 4).half()
    assert torch.equal(PAR(2)(images, cams), PAR(2)(images, cams.float()))


def test_edges_of_the_image_hold():
    images = torch.zeros(1, 3, 12, 12)
    images[..., 6:] = 1
    cams = torch.zeros(1, 1, 12, 12)
    cams[..., 3:6, 2] = 1
    refined = PAR(10, (1, 2))(images, cams)
    assert refined[..., :6].min() > 0.02
    assert refined[..., 6:].max() < 0.001


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(num_iters=0), 'num_iters must be at least 1, got 0'),
        (dict(dilations=()), r'dilations must be positive, got \(\)'),
        (dict(dilations=[1, 0]), r'dilations must be positive, got \(1, 0\)'),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=f'PAR: {message}'):
        PAR(**settings)


def test_refuses_maps_of_other_images():
    with pytest.raises(ValueError, match='of the same N, H and W'):
        PAR()(torch.rand(2, 3, 8, 8), torch.rand(1, 2, 8, 8))
