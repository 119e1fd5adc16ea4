"""Both routes of a batch against one image after the other, and what must not matter."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from mmwsss.models import PAR
from mmwsss.models.refiners import refine_scores
from mmwsss.models.segmentors.afa_routes import affinity_route_scores, cam_route_scores
from mmwsss.ops import (
    pad_tags,
    propagate_maps,
    tagged_labels,
    valid_mask,
)
from tests.host_reads import NoHostReads

SIZE, GRID = (24, 33), (3, 4)
TAGS = [[1, 4], [], [0, 2, 3], [2]]
BOXES = [(0, 0, 24, 33), (3, 0, 24, 20), (5, 7, 18, 8), (0, 1, 23, 33)]
PAR_SETTINGS = dict(num_iters=2, dilations=(1, 4))
SETTINGS = dict(bg_scores=(0.3, 0.6), refine=partial(refine_scores, PAR(**PAR_SETTINGS)))


def make_batch():
    affinity = torch.rand(4, 12, 12)
    return dict(
        images=torch.rand(4, 3, *SIZE),
        cams=torch.rand(4, 5, *SIZE),
        affinity=(affinity + affinity.transpose(1, 2)) / 2,
        classes=pad_tags([torch.tensor(tags, dtype=torch.int64) for tags in TAGS]),
        boxes=BOXES,
    )


def resize(maps, size):
    return F.interpolate(maps, size, mode='bilinear', align_corners=False)


def stack(cams, tags, score):
    """Return the softmax of a constant and the tagged maps, ``(1, 1 + n, h, w)``."""
    return torch.cat([torch.full_like(cams[:1], score), cams[tags]])[None].softmax(dim=1)


def refine(image, scores):
    """Refine at half size; both have a batch of one."""
    half = [max(1, side // 2) for side in image.shape[2:]]
    refined = PAR(**PAR_SETTINGS)(resize(image, half), scores)
    return resize(refined, image.shape[2:])[0]


def plain_route(batch, i, score, kind):
    """Return the refined scores of one image and one background score."""
    image, cams = batch['images'][i : i + 1], batch['cams'][i : i + 1]
    if kind == 'cam':
        return refine(image, stack(resize(cams, [side // 2 for side in SIZE])[0], TAGS[i], score))
    scores = stack(resize(cams, GRID)[0], TAGS[i], score)
    scores = resize(propagate_maps(scores, batch['affinity'][i : i + 1], 1), SIZE)
    top, left, bottom, right = BOXES[i]
    out = torch.zeros_like(scores[0])
    inside = (..., slice(top, bottom), slice(left, right))
    out[inside] = refine(image[inside], scores[inside])
    return out


def run(batch, kind):
    inputs = [batch['images'], batch['cams'], batch['classes']]
    if kind == 'cam':
        return cam_route_scores(*inputs, **SETTINGS)
    inputs.insert(2, batch['affinity'])
    return affinity_route_scores(*inputs, batch['boxes'], grid=GRID, radius=1, **SETTINGS)


@pytest.mark.parametrize('kind', ['cam', 'affinity'])
def test_a_batch_is_each_image_and_each_score_alone(kind):
    batch = make_batch()
    scores = run(batch, kind)
    assert scores.shape == (4, 2, 4, *SIZE)
    for i, tags in enumerate(TAGS):
        for b, score in enumerate(SETTINGS['bg_scores']):
            expected = plain_route(batch, i, score, kind)
            found = scores[i, b, : 1 + len(tags)]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
            assert not scores[i, b, 1 + len(tags) :].any()


def test_without_boxes_the_images_are_whole():
    batch = make_batch()
    whole = run(dict(batch, boxes=[(0, 0, *SIZE)] * 4), 'affinity')
    assert torch.equal(run(dict(batch, boxes=None), 'affinity'), whole)


@pytest.mark.parametrize('kind', ['cam', 'affinity'])
def test_absent_classes_do_not_matter(kind):
    batch = make_batch()
    cams = batch['cams'].clone()
    for i, tags in enumerate(TAGS):
        cams[i, [k for k in range(5) if k not in tags]] = torch.nan
    assert torch.equal(run(dict(batch, cams=cams), kind), run(batch, kind))


def test_colours_outside_the_boxes_do_not_matter():
    batch = make_batch()
    outside = ~valid_mask(torch.tensor(BOXES), SIZE)
    spoilt = dict(batch, images=batch['images'].masked_fill(outside, torch.nan))
    scores = run(spoilt, 'affinity')
    assert torch.equal(scores, run(batch, 'affinity'))
    assert not scores.masked_select(outside[:, :, None]).any()


@pytest.mark.parametrize('kind', ['cam', 'affinity'])
def test_images_without_tags_are_background(kind):
    batch = make_batch()
    labels = tagged_labels(run(batch, kind), batch['classes'])
    assert not labels[1].any()


@pytest.mark.parametrize('kind', ['cam', 'affinity'])
def test_inputs_are_left_alone_and_results_have_no_gradient(kind):
    batch = make_batch()
    for name in ('images', 'cams', 'affinity'):
        batch[name].requires_grad_()
    before = {key: x.detach().clone() for key, x in batch.items() if key != 'boxes'}
    assert not run(batch, kind).requires_grad
    assert all(torch.equal(batch[key].detach(), x) for key, x in before.items())


@pytest.mark.parametrize('kind', ['cam', 'affinity'])
def test_scores_are_in_single_precision_whatever_is_around(kind):
    batch = make_batch()
    expected = run(batch, kind)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(run(batch, kind), expected)


@pytest.mark.parametrize('kind', ['cam', 'affinity'])
def test_without_a_refiner_nothing_is_refined(kind, monkeypatch):
    batch = make_batch()
    monkeypatch.setitem(SETTINGS, 'refine', None)
    colourless = run(dict(batch, images=torch.zeros_like(batch['images'])), kind)
    assert torch.equal(run(batch, kind), colourless)
    if kind == 'cam':
        scores = stack(resize(batch['cams'], (12, 16))[0], TAGS[0], 0.3)
        torch.testing.assert_close(colourless[0, 0, :3], resize(scores, SIZE)[0])


@pytest.mark.parametrize('kind', ['cam', 'affinity'])
def test_waits_for_no_value(kind):
    batch = make_batch()
    with NoHostReads():
        run(batch, kind)


def test_the_refusal_to_wait_works():
    for wait in (torch.Tensor.item, torch.nonzero, lambda x: x[x > 0]):
        with pytest.raises(AssertionError, match='waits for'), NoHostReads():
            wait(torch.ones(1))
