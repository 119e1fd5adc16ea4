"""Balanced cross entropy: values by hand and published, empty halves, in a decode head."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.models.losses import BalancedCrossEntropyLoss, balanced_cross_entropy

REFERENCE = Path(__file__).parents[1] / 'data/reference/afa/losses.npz'


def make_batch():
    labels = torch.tensor([0, 1, 2, 255])[torch.randint(4, (2, 4, 5))]
    return torch.randn(2, 3, 4, 5, dtype=torch.float64), labels


@pytest.mark.parametrize(
    ('labels', 'expected'),
    [
        # logits (0, 0), (0, log 3), (0, 0), (0, log 7)
        ([0, 0, 1, 255], (math.log(2) + math.log(4)) / 4 + math.log(2) / 2),
        ([255, 1, 255, 1], (math.log(4 / 3) + math.log(8 / 7)) / 4),
        ([0, 255, 0, 255], math.log(2) / 2),
        ([255] * 4, 0),
    ],
)
def test_values_by_hand(labels, expected):
    logits = torch.tensor([0, math.log(3), 0, math.log(7)]).view(1, 1, 1, 4)
    logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    loss = balanced_cross_entropy(logits, torch.tensor(labels).view(1, 1, 4))
    assert loss.item() == pytest.approx(expected)


def test_agrees_with_the_published_values():
    with np.load(REFERENCE) as file:
        logits, labels = (torch.from_numpy(file[f'seg_{key}']) for key in ('logits', 'target'))
        values = {key: file[f'seg_value{key}'].item() for key in ('', '_bg', '_fg')}
    found = {
        '': balanced_cross_entropy(logits, labels),
        '_bg': 2 * balanced_cross_entropy(logits, labels.masked_fill(labels != 0, 255)),
        '_fg': 2 * balanced_cross_entropy(logits, labels.masked_fill(labels == 0, 255)),
    }
    assert {key: x.item() for key, x in found.items()} == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize('skip_empty', [True, False])
@pytest.mark.parametrize('kind', [0, 1])
def test_half_without_pixels(kind, skip_empty):
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    labels = torch.full((1, 3, 3), kind)
    loss = balanced_cross_entropy(logits, labels, skip_empty=skip_empty)
    if not skip_empty:
        assert loss.isnan()
        return
    loss.backward()
    assert loss > 0
    assert logits.grad.isfinite().all()
    assert logits.grad.any()


def test_gradient():
    logits, labels = make_batch()
    weight = torch.rand(2, 4, 5, dtype=torch.float64)
    for args in ((), (weight,)):
        assert torch.autograd.gradcheck(
            lambda x, args=args: balanced_cross_entropy(x, labels, *args), logits.requires_grad_()
        )


@pytest.mark.parametrize('ignore_index', [255, 2, 100])
def test_what_is_ignored_changes_nothing(ignore_index):
    logits, labels = make_batch()
    labels = labels.masked_fill(labels == 255, ignore_index)
    other = torch.where((labels == ignore_index)[:, None], 9.0, logits)
    losses = [balanced_cross_entropy(x, labels, ignore_index=ignore_index) for x in (logits, other)]
    assert torch.equal(*losses)


def test_everything_ignored_gives_zero_on_the_graph():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = balanced_cross_entropy(logits, torch.full((1, 4, 4), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_weight_is_how_much_a_pixel_counts():
    logits, labels = make_batch()
    weight = torch.randint(0, 2, (2, 4, 5)).double()
    expected = balanced_cross_entropy(logits, labels.masked_fill(weight == 0, 255))
    torch.testing.assert_close(balanced_cross_entropy(logits, labels, weight), expected)
    torch.testing.assert_close(balanced_cross_entropy(logits, labels, 3 * weight), expected)


def test_half_precision_is_computed_in_single():
    logits, labels = make_batch()
    loss = balanced_cross_entropy(logits.bfloat16(), labels)
    assert torch.equal(loss, balanced_cross_entropy(logits.bfloat16().float(), labels))


@pytest.mark.stack
def test_serves_any_decode_head():
    head = MODELS.build(
        dict(
            type='FCNHead',
            in_channels=4,
            channels=4,
            num_classes=3,
            loss_decode=dict(type='BalancedCrossEntropyLoss', loss_weight=0.1),
        )
    )
    _, labels = make_batch()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
    logits = torch.randn(2, 3, 4, 5)
    losses = head.loss_by_feat(logits, samples)
    torch.testing.assert_close(losses['loss_seg'], 0.1 * balanced_cross_entropy(logits, labels))


def test_registered_loss_may_be_nan():
    logits = torch.randn(1, 2, 1, 1)
    labels = torch.zeros(1, 1, 1, dtype=torch.int64)
    assert BalancedCrossEntropyLoss(skip_empty=False)(logits, labels).isnan()
    assert BalancedCrossEntropyLoss()(logits, labels).isfinite()
