"""PAR against the numbers of the published implementation, and as a part of a config."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmwsss.models import PAMR, PAR, DenseCRF
from mmwsss.models.refiners import refine_scores
from mmwsss.ops import pixel_adaptive_mask_weights, pixel_adaptive_weights, resize_boxes

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


@pytest.mark.parametrize(
    'settings',
    [dict(w1=0), dict(w2=0), dict(w3=-1), dict(w1=None, w3=0)],
)
def test_kernels_are_checked(settings):
    with pytest.raises(ValueError, match='PAR: w1 .* and w2 must be positive'):
        PAR(**settings)


def test_kernels_of_par_are_those_of_its_settings():
    images = torch.rand(1, 3, 6, 7)
    par = PAR(2, (1, 2), w1=0.5, w2=0.7, w3=0.2)
    expected = pixel_adaptive_weights(images, (1, 2), w1=0.5, w2=0.7, w3=0.2)
    assert torch.equal(par.weights(images), expected)


def test_pamr_is_par_with_its_own_weights():
    images, cams = torch.rand(2, 3, 9, 7), torch.rand(2, 4, 3, 5)
    pamr = MODELS.build(dict(type='PAMR', num_iters=2, dilations=(1, 2)))
    weights = pixel_adaptive_mask_weights(images, (1, 2))
    assert torch.equal(pamr(images, cams), pamr.refine(weights, cams))
    assert not torch.allclose(pamr(images, cams), PAR(2, (1, 2))(images, cams))
    with pytest.raises(ValueError, match='PAMR: softness must be positive, got 0'):
        PAMR(softness=0)
    with pytest.raises(ValueError, match='PAMR: num_iters must be at least 1, got 0'):
        PAMR(0)


@pytest.mark.parametrize('name', ['PAR', 'PAMR', 'DenseCRF', 'LimitedDenseCRF'])
def test_refiners_that_use_colours_take_the_same_images(name):
    settings = dict(max_size=9) if name == 'LimitedDenseCRF' else {}
    refiner = MODELS.build(dict(type=name, num_iters=2, **settings))
    images, scores = torch.randint(256, (1, 3, 8, 9), dtype=torch.uint8), torch.rand(1, 2, 8, 9)
    out = refiner(images, scores)
    assert out.shape == scores.shape
    if isinstance(refiner, PAR):
        torch.testing.assert_close(refiner(images / 255, scores), out)


# any refiner on the scores of a batch

SIZES = [(6, 9), (8, 5)]


@pytest.mark.parametrize(
    'refiner',
    [PAR(2, (1, 2)), PAMR(2, (1, 2)), DenseCRF(num_iters=2)],
    ids=lambda r: type(r).__name__,
)
@pytest.mark.parametrize('sizes', [None, SIZES])
def test_a_batch_of_scores_is_each_image_and_each_set_alone(refiner, sizes):
    boxes = [(0, 0, *size) for size in SIZES]
    images = resize_boxes(torch.rand(2, 3, 8, 9), boxes, boxes, (8, 9))
    scores = torch.rand(2, 2, 3, 8, 9).softmax(dim=2)
    out = refine_scores(refiner, images, scores, sizes)
    for i, (height, width) in enumerate(sizes or [(8, 9)] * 2):
        image = images[i : i + 1, :, :height, :width]
        if isinstance(refiner, DenseCRF):
            image = (255 * image).round().to(torch.uint8)
        for b in range(2):
            alone = refiner(image, scores[i, b, None, :, :height, :width])
            found = out[i, b, None, :, :height, :width]
            torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_refuses_maps_of_other_images():
    with pytest.raises(ValueError, match='of the same N, H and W'):
        PAR()(torch.rand(2, 3, 8, 8), torch.rand(1, 2, 8, 8))
