"""AFA's pseudo labels against the numbers of the published implementation."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmwsss.models import PAR
from mmwsss.models.refiners import refine_scores
from mmwsss.models.segmentors.afa_routes import affinity_route_scores, cam_route_scores
from mmwsss.ops import (
    pad_tags,
    pair_label_matrix,
    propagate_maps,
    radius_mask,
    tagged_labels,
    tagged_scores,
    threshold_labels,
    valid_mask,
)

REFERENCE = Path(__file__).parents[1] / 'data/reference/afa'
TOLERANCE = dict(rtol=1e-3, atol=1e-4)
REFINED = dict(rtol=1e-4, atol=1e-5)
LOW, HIGH, SINGLE, RADIUS = 0.35, 0.55, 0.45, 8
SIZE, GRID = (128, 96), (12, 9)
REFINE = partial(refine_scores, PAR())


def load(name):
    with np.load(REFERENCE / f'{name}.npz') as file:
        return {key: torch.from_numpy(x) for key, x in file.items() if x.dtype.kind != 'U'}


def to_boxes(boxes):
    """Turn (top, bottom, left, right) into this project's (top, left, bottom, right)."""
    return boxes[:, [0, 2, 1, 3]].long()


@pytest.fixture(scope='module')
def data():
    data = load('pseudo_labels')
    data['classes'] = pad_tags([tags.nonzero().flatten() for tags in data['cls_labels']])
    data['boxes'] = to_boxes(data['img_box'])
    data['valid'] = valid_mask(data['boxes'], SIZE)
    data['images'] = data['images_u8'] / 255
    # what the image is not tagged with must not matter
    absent = data['cls_labels'] == 0
    data['cams'] = data['cams'].masked_fill(absent[:, :, None, None], torch.nan)
    return data


@pytest.fixture(scope='module')
def cam_route(data):
    return cam_route_scores(data['images'], data['cams'], data['classes'], REFINE)


@pytest.fixture(scope='module')
def affinity_route(data):
    inputs = (data[key] for key in ('images', 'cams', 'aff_mat', 'classes'))
    return affinity_route_scores(*inputs, data['boxes'].tolist(), grid=GRID, refine=REFINE)


def assert_labels(labels, expected, allowed=8):
    assert labels.dtype == torch.uint8
    wrong = (labels != expected).flatten(1).sum(dim=1)
    assert (wrong <= allowed).all(), f'pixels that differ: {wrong.tolist()}'


def unpack(scores, classes):
    """Return all channels, ``(N, B, 21, H, W)``, 0 where the image has no such class."""
    out = torch.zeros(*scores.shape[:2], 21, *scores.shape[3:])
    for i, tags in enumerate(classes):
        channels = [0, *(tags[tags >= 0] + 1).tolist()]
        out[i, :, channels] = scores[i, :, : len(channels)]
    return out


@pytest.mark.parametrize(
    ('name', 'bg_scores', 'boxed'),
    [
        ('pseudo_label', (LOW, HIGH), True),
        ('pseudo_label_single', (SINGLE,), True),
        ('pseudo_label_nobox', (SINGLE,), False),
    ],
)
def test_plain_labels(data, name, bg_scores, boxed):
    valid = data['valid'] if boxed else None
    labels = threshold_labels(data['cams'], data['classes'], bg_scores, valid)
    assert_labels(labels, data[name])


@pytest.mark.parametrize('size', [None, GRID])
def test_tagged_maps(data, size):
    scores = tagged_scores(data['cams'], data['classes'], [0], size)
    # over the background's score, e to the map is left
    maps = unpack((scores / scores[:, :, :1]).log(), data['classes'])[:, 0, 1:]
    if size:
        torch.testing.assert_close(maps, data['valid_cam_small'], **TOLERANCE)
    else:
        sums = maps.double().sum(dim=(2, 3))
        torch.testing.assert_close(sums, data['valid_cam_sum'], **TOLERANCE)


def test_propagated_maps(data):
    scores = tagged_scores(data['cams'], data['classes'], (LOW, HIGH), GRID)
    maps = propagate_maps(scores.flatten(1, 2), data['aff_mat'], RADIUS)
    maps = unpack(maps.unflatten(1, scores.shape[1:3]), data['classes'])
    for i, name in enumerate(('aff_cam_l', 'aff_cam_h')):
        torch.testing.assert_close(maps[:, i], data[name], **TOLERANCE)


def test_scores_of_the_affinity_route(data, affinity_route):
    maps = unpack(affinity_route, data['classes'])[..., ::2, ::2]
    for i, name in enumerate(('refined_aff_cam_l_s2', 'refined_aff_cam_h_s2')):
        torch.testing.assert_close(maps[:, i], data[name], **REFINED)


def test_labels_of_the_affinity_route(data, affinity_route):
    for i, name in enumerate(('refined_aff_label_l', 'refined_aff_label_h')):
        assert_labels(tagged_labels(affinity_route[:, i : i + 1], data['classes']), data[name])
    labels = tagged_labels(affinity_route, data['classes'], data['valid'])
    assert_labels(labels, data['refined_aff_label'])


def test_scores_of_the_cam_route(data, cam_route):
    for i, tags in enumerate(data['classes']):
        num = 1 + (tags >= 0).sum()
        for b, letter in enumerate('lh'):
            small = data[f'bkg_refined_{letter}_{i}'][None]
            expected = F.interpolate(small, SIZE, mode='bilinear', align_corners=False)[0]
            torch.testing.assert_close(cam_route[i, b, :num], expected, **REFINED)
            assert not cam_route[i, b, num:].any()


def test_labels_of_the_cam_route(data, cam_route):
    labels = tagged_labels(cam_route, data['classes'], data['valid'])
    assert_labels(labels, data['refined_pseudo_label'])


@pytest.mark.parametrize(
    ('name', 'source', 'size', 'radius'),
    [
        ('aff_label', 'refined_pseudo_label', (8, 6), RADIUS),
        ('aff_label_r2', 'refined_pseudo_label', (8, 6), 3),
        ('aff_label_nomask', 'refined_pseudo_label', (8, 6), None),
        ('map_aff_label', 'map_label', (14, 11), RADIUS),
    ],
)
def test_labels_of_pairs(data, name, source, size, radius):
    assert torch.equal(pair_label_matrix(data[source], size, radius), data[name])


def test_radius_masks(data):
    names = [name for name in data if name.startswith('mask_')]
    assert len(names) == 4
    for name in names:
        _, size, radius = name.split('_')
        height, width = map(int, size.split('x'))
        assert torch.equal(radius_mask((height, width), int(radius[1:])).byte(), data[name])


def test_plain_labels_of_a_training_step():
    """The maps of the step are stored at every fourth pixel."""
    step = load('losses')
    classes = pad_tags([tags.nonzero().flatten() for tags in step['step_cls_labels']])
    valid = valid_mask(to_boxes(step['step_img_box']), (128, 128))[..., 2::4, 2::4]
    labels = threshold_labels(step['step_cams_sub'], classes, (LOW, HIGH), valid)
    assert_labels(labels, step['step_pseudo_label'][:, 2::4, 2::4])


@pytest.mark.parametrize(
    ('name', 'source', 'radius', 'counts'),
    [
        ('step_aff_label', 'step_refined_pseudo_label', RADIUS, ('step3000', 'step9000')),
        ('coco_aff_label', 'coco_refined_aff_label', RADIUS, ('coco20000',)),
        (None, 'step_refined_pseudo_label', 3, ('step9000_r3',)),
        (None, 'coco_refined_pseudo_label', RADIUS, ('coco9000',)),
    ],
)
def test_labels_of_pairs_of_a_training_step(name, source, radius, counts):
    step = load('losses')
    labels = pair_label_matrix(step[source], (8, 8), radius)
    if name:
        assert torch.equal(labels, step[name])
    found = [(labels == kind).sum().item() + 1 for kind in (1, 0)]
    assert all(step[f'{key}_counts'].tolist() == found for key in counts)
