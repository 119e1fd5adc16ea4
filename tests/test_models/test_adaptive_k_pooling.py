"""Adaptive-K pooling: what it is at its limits, what it selects, gradients, odd inputs."""

import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.models import AdaptiveKPooling, CAMHead
from mmwsss.models.heads import adaptive_k_pooling

SETTINGS = [(1, 0.0), (3, 0.0), (1, 0.1), (3, 0.1), (3, 5.0), (99, 0.1)]


def selected_by_hand(values, k, margin):
    """Return the mean of the selected set of one channel, patch by patch as it is defined."""
    ordered = sorted(values, reverse=True)
    kept = ordered[:k] + [v for v in ordered[k:] if ordered[0] - v < margin]
    return sum(kept) / len(kept)


@pytest.mark.parametrize(('k', 'margin'), SETTINGS)
def test_it_is_the_mean_of_the_selected_set(k, margin):
    x = torch.rand(2, 30, 4, dtype=torch.float64)
    expected = [[selected_by_hand(c.tolist(), k, margin) for c in image.T] for image in x]
    torch.testing.assert_close(AdaptiveKPooling(k, margin)(x), torch.tensor(expected).double())


@pytest.mark.parametrize(
    ('k', 'margin', 'expected'),
    [
        (1, 0, lambda x: x.amax(dim=1)),
        (7, 0, lambda x: x.mean(dim=1)),
        (8, 0.3, lambda x: x.mean(dim=1)),
        (3, 0, lambda x: x.topk(3, dim=1).values.mean(dim=1)),
    ],
)
def test_maximum_average_and_top_k_are_settings(k, margin, expected):
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(AdaptiveKPooling(k, margin)(x), expected(x))


def test_what_lies_at_the_margin_is_left_out():
    x = torch.tensor([1.0, 0.75, 0.5]).view(1, 3, 1)
    assert adaptive_k_pooling(x, k=1, margin=0.5).item() == 0.875


def test_each_channel_of_each_image_has_its_own_set():
    x = torch.rand(2, 20, 3)
    alone = [adaptive_k_pooling(x[i : i + 1, :, c : c + 1]) for i in range(2) for c in range(3)]
    assert torch.equal(adaptive_k_pooling(x).flatten(), torch.cat(alone).flatten())


@pytest.mark.parametrize(('k', 'margin'), SETTINGS)
def test_order_of_patches_does_not_count(k, margin):
    x = torch.rand(2, 20, 3, dtype=torch.float64)
    shuffled = x[:, torch.randperm(20)]
    torch.testing.assert_close(
        adaptive_k_pooling(shuffled, k=k, margin=margin), adaptive_k_pooling(x, k=k, margin=margin)
    )


@pytest.mark.parametrize(('k', 'margin'), SETTINGS)
def test_every_selected_patch_weighs_the_same_and_others_nothing(k, margin):
    """So the score rises with every patch as long as the set stays what it is."""
    x = torch.rand(1, 20, 1, dtype=torch.float64, requires_grad=True)
    adaptive_k_pooling(x, k=k, margin=margin).sum().backward()
    chosen = x.grad > 0
    assert torch.allclose(x.grad[chosen], 1 / chosen.sum(dtype=torch.float64))
    assert x.grad[~chosen].eq(0).all()
    rank = x.argsort(dim=1, descending=True).argsort(dim=1)
    assert torch.equal(chosen, (rank < k) | (x.max() - x < margin))


def test_an_outlier_moves_it_less_than_the_maximum():
    x = torch.rand(1, 50, 1) * 0.5
    spoilt = x.clone()
    spoilt[:, 17] = 1.0
    moved = adaptive_k_pooling(spoilt) - adaptive_k_pooling(x)
    by_max = spoilt.amax(1) - x.amax(1)
    assert 0 < moved < by_max / 3


@pytest.mark.parametrize(('k', 'margin'), SETTINGS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('num', [1, 2, 40])
def test_equal_scores_and_few_patches_are_finite(k, margin, dtype, num):
    x = torch.full((1, num, 2), 0.5, dtype=dtype, requires_grad=True)
    score = adaptive_k_pooling(x, k=k, margin=margin)
    score.sum().backward()
    assert score.dtype == dtype
    assert score.eq(0.5).all()
    assert x.grad.isfinite().all()


def test_backward_makes_no_nan_on_the_way():
    x = torch.rand(1, 9, 2, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        adaptive_k_pooling(x, k=2, margin=0.0).sum().backward()


def test_half_precision_does_not_overflow():
    x = torch.full((1, 3600, 1), 100.0, dtype=torch.float16)
    assert adaptive_k_pooling(x, margin=1.0).item() == 100


@pytest.mark.parametrize(('k', 'margin'), SETTINGS)
def test_gradient(k, margin):
    x = torch.linspace(0, 1, 24, dtype=torch.float64)[torch.randperm(24)].view(2, 6, 2)
    # no distance from a maximum lies at the margin
    assert torch.autograd.gradcheck(
        lambda v: adaptive_k_pooling(v, k=k, margin=margin), (x.requires_grad_(),)
    )


def test_cam_head_takes_it_by_config():
    head = CAMHead(4, 3, pooling=dict(type='AdaptiveKPooling', k=2, margin=0.3)).eval()
    cam, scores = head([torch.randn(2, 4, 3, 5)])
    expected = adaptive_k_pooling(cam.flatten(2).transpose(1, 2), k=2, margin=0.3)
    torch.testing.assert_close(scores, expected)


@pytest.mark.parametrize('k', [0, -1, 2.5])
def test_number_is_checked(k):
    with pytest.raises(ValueError, match=f'k must be a whole number of at least 1, got {k}'):
        AdaptiveKPooling(k)


@pytest.mark.parametrize(('scale', 'near'), [(1.0, 2), (0.2, 3), (0.01, 4)])
def test_relative_margin_is_a_share_of_the_maximum(scale, near):
    """What counts does not depend on the unit; with a difference, it does."""
    x = scale * torch.tensor([1.0, 0.97, 0.94, 0.5]).double()[None, :, None]
    pooled = adaptive_k_pooling(x, k=1, margin=0.05, relative=True)
    torch.testing.assert_close(pooled, x[:, :2].mean(dim=1))
    plain = adaptive_k_pooling(x, k=1, margin=0.05)
    torch.testing.assert_close(plain, x[:, :near].mean(dim=1))


def test_relative_margin_of_maxima_that_are_not_positive():
    x = -torch.tensor([0.0, 1.0, 1.01])[None, :, None]
    assert adaptive_k_pooling(x, k=1, margin=0.5, relative=True).item() == 0
    assert adaptive_k_pooling(x - 1, k=1, margin=0.5, relative=True).item() == -1


def test_registered_pooling_hands_the_kind_of_margin_on():
    x = torch.rand(2, 30, 4)
    pooling = MODELS.build(dict(type='AdaptiveKPooling', k=2, margin=0.3, relative=True))
    assert torch.equal(pooling(x), adaptive_k_pooling(x, k=2, margin=0.3, relative=True))
    assert not torch.equal(pooling(x), adaptive_k_pooling(x, k=2, margin=0.3))
    assert 'relative=True' in repr(pooling)


@pytest.mark.parametrize('margin', [-0.1, float('nan')])
def test_margin_is_checked(margin):
    with pytest.raises(ValueError, match=f'margin must not be negative, got {margin}'):
        AdaptiveKPooling(6, margin)
