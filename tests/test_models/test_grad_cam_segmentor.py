"""Grad-CAM and Grad-CAM++ against their formulas, and as the maps of a classifier."""

import pytest
import torch

from mmwsss.ops import grad_cam
from tests.test_models.test_weak_segmentor import DECODER, WEAK, batch, build

pytestmark = pytest.mark.stack
GRAD = dict(WEAK, type='GradCAMSegmentor')


def plain(scores, features, plus):
    """Return the maps by the published formulas, position by position."""
    maps = []
    for k in range(scores.shape[1]):
        (g,) = torch.autograd.grad(scores[:, k].sum(), features, retain_graph=True)
        if plus:
            total = features.sum((2, 3), keepdim=True)
            alpha = g**2 / (2 * g**2 + total * g**3)
            weights = (alpha.nan_to_num(0) * g.relu()).sum((2, 3), keepdim=True)
        else:
            weights = g.sum((2, 3), keepdim=True)
        maps.append((weights * features).sum(1).relu())
    return torch.stack(maps, 1).detach()


@pytest.mark.parametrize('plus', [False, True])
@pytest.mark.parametrize('pool', ['mean', 'max', 'square'])
def test_follows_the_formula(plus, pool):
    features = torch.rand(2, 5, 3, 4, dtype=torch.float64).requires_grad_()
    cam = torch.einsum('kc,nchw->nkhw', torch.randn(3, 5, dtype=torch.float64), features)
    pools = dict(
        mean=lambda x: x.mean((2, 3)),
        max=lambda x: x.amax((2, 3)),
        square=lambda x: (x**2).sum((2, 3)),
    )
    scores = pools[pool](cam)
    found = grad_cam(scores, features, plus=plus)
    assert not found.requires_grad
    torch.testing.assert_close(found, plain(scores, features, plus))


def test_average_pooling_gives_the_rectified_cam():
    model, baseline = build(GRAD).eval(), build(WEAK).eval()
    model.load_state_dict(baseline.state_dict())
    inputs, samples = batch()
    with torch.no_grad():
        expected, scores = baseline.predict_maps(inputs)
        found = model.predict_maps(inputs)
    torch.testing.assert_close(found[0], expected.relu(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], scores)


@pytest.mark.parametrize('plus', [False, True])
@pytest.mark.parametrize('context', [torch.no_grad, torch.inference_mode])
def test_predicts_without_gradient(plus, context):
    model = build(GRAD, plus=plus).eval()
    inputs, samples = batch()
    with context():
        found = model(inputs, samples, mode='predict')
    assert all(s.cams.data.shape == (3, 32, 40) for s in found)
    assert all((s.cams.data >= 0).all() and s.cams.data.any() for s in found)
    assert all(p.grad is None for p in model.parameters())


def test_decoder_predicts_as_ever():
    model = build(GRAD, decode_head=DECODER, test_cfg=dict(output='seg')).eval()
    inputs, samples = batch()
    with torch.no_grad():
        found = model(inputs, samples, mode='predict')
    assert 'cams' not in found[0]


def test_trains_as_the_baseline():
    model = build(GRAD).train()
    assert set(model(*batch(), mode='loss')) == {'loss_cls'}
