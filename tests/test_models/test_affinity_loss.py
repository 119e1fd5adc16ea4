"""Loss on the affinity of pairs: values by hand, gradient, ignored labels."""

import math

import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.models.losses import PairLabels, pair_affinity_loss, pair_affinity_losses, pair_labels
from mmwsss.ops import feature_affinity


def masks(kinds):
    """Return the three masks of a row of pairs: b, f, n or - (ignored)."""
    return PairLabels(*(torch.tensor([[k == kind for k in kinds]]) for kind in 'bfn'))


def test_values_by_hand():
    affinity = torch.tensor([[0.5, 0.25, 0.8, 0.1, 0.9]], dtype=torch.float64)
    losses = pair_affinity_losses(affinity, masks('bbfn-'))
    expected = [-(math.log(0.5) + math.log(0.25)) / 2, -math.log(0.8), -math.log(0.9)]
    # each logarithm, and each number of pairs, is shifted by 1e-5
    assert losses.tolist() == pytest.approx(expected, rel=2e-4)
    total = expected[0] / 4 + expected[1] / 4 + expected[2] / 2
    assert pair_affinity_loss(affinity, masks('bbfn-')).item() == pytest.approx(total, rel=2e-4)


@pytest.mark.parametrize('kind', 'bn')
def test_the_worst_affinity_has_a_finite_loss(kind):
    affinity = torch.tensor([[0.0 if kind == 'b' else 1.0]], requires_grad=True)
    loss = pair_affinity_losses(affinity, masks(kind)).sum()
    assert loss.item() == pytest.approx(-math.log(1e-5), rel=1e-3)
    loss.backward()
    assert affinity.grad.isfinite().all()


def test_gradient():
    affinity = torch.rand(2, 5, dtype=torch.float64) * 0.8 + 0.1
    labels = masks('bbfn-')
    assert torch.autograd.gradcheck(
        lambda x: pair_affinity_losses(x, labels), affinity.requires_grad_()
    )


def test_pairs_of_every_kind():
    labels = pair_labels(torch.tensor([[[0, 0, 0], [0, 9, 255]], [[9, 9, 9], [9, 3, 9]]]), 2)
    found = [
        [
            ''.join(k for k, m in zip('bfn', cell, strict=True) if m)
            for cell in zip(*image, strict=True)
        ]
        for image in zip(*(mask.flatten(1).tolist() for mask in labels), strict=True)
    ]
    # to the right, below on the left, below, below on the right
    assert found == [['b', 'b', 'n', ''], ['f', 'f', 'n', 'f']]


def test_what_is_ignored_changes_nothing():
    label_map = torch.randint(0, 3, (2, 8, 12))
    features = torch.rand(2, 4, 8, 12)
    label_map[:, 2:5, 3:6] = 255
    other = features.clone()
    other[:, :, 2:5, 3:6] = 7
    labels = pair_labels(label_map, 3)
    losses = [pair_affinity_loss(feature_affinity(x, 3), labels) for x in (features, other)]
    assert torch.equal(*losses)


def test_everything_ignored_gives_zero_on_the_graph():
    features = torch.rand(1, 2, 6, 10, requires_grad=True)
    labels = pair_labels(torch.full((1, 6, 10), 255), 3)
    loss = pair_affinity_loss(feature_affinity(features, 3), labels)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(features.grad, torch.zeros_like(features))


def test_registered_loss():
    loss = MODELS.build(dict(type='PairAffinityLoss', loss_weight=2.0, weights=(1, 0, 0)))
    affinity = torch.tensor([[0.5, 0.5, 0.9]])
    assert loss(affinity, masks('bfn')).item() == pytest.approx(2 * math.log(2), rel=1e-4)


def test_wrong_number_of_weights_is_refused():
    with pytest.raises(ValueError, match=r'PairAffinityLoss: weights must be three.*\(1, 2\)'):
        MODELS.build(dict(type='PairAffinityLoss', weights=(1, 2)))
