"""Loss on the matrix of affinities: values by hand and published, gradient, ignored pairs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.models.losses import affinity_matrix_loss

REFERENCE = Path(__file__).parents[1] / 'data/reference/afa/losses.npz'


def make_pairs():
    labels = torch.tensor([0, 1, 255])[torch.randint(3, (2, 5, 5))]
    return torch.rand(2, 5, 5, dtype=torch.float64), labels


def test_value_by_hand():
    affinity = torch.tensor([[0.6, 0.9, 0.2], [0.3, 0.5, 0.8]])
    labels = torch.tensor([[1, 1, 0], [255, 0, 7]])
    expected = (0.4 + 0.1) / 3 / 2 + (0.2 + 0.5) / 3 / 2
    assert affinity_matrix_loss(affinity, labels).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ('name', 'target'),
    [('aff_value', None), ('aff_value_all_ignored', 255), ('aff_value_all_positive', 1)],
)
def test_agrees_with_the_published_values(name, target):
    with np.load(REFERENCE) as file:
        affinity, labels = (torch.from_numpy(file[f'aff_{key}']) for key in ('pred', 'target'))
        expected = file[name].item()
        counts = [file[f'aff_{key}_count'].item() for key in ('pos', 'neg')]
    if target is None:
        assert [(labels == kind).sum().item() + 1 for kind in (1, 0)] == counts
    else:
        labels = torch.full_like(labels, target)
    assert affinity_matrix_loss(affinity, labels).item() == pytest.approx(expected, rel=1e-5)


def test_gradient():
    affinity, labels = make_pairs()
    assert torch.autograd.gradcheck(
        lambda x: affinity_matrix_loss(x, labels), affinity.requires_grad_()
    )


def test_what_is_ignored_changes_nothing():
    affinity, labels = make_pairs()
    spoilt = affinity.masked_fill(labels == 255, torch.nan).requires_grad_()
    loss = affinity_matrix_loss(spoilt, labels)
    assert torch.equal(loss, affinity_matrix_loss(affinity, labels))
    loss.backward()
    assert spoilt.grad.isfinite().all()


def test_everything_ignored_gives_zero_on_the_graph():
    affinity = torch.rand(1, 4, 4, requires_grad=True)
    loss = affinity_matrix_loss(affinity, torch.full((1, 4, 4), 255))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(affinity.grad, torch.zeros(1, 4, 4))


def test_sums_of_half_precision_do_not_overflow():
    affinity = torch.ones(1, 300, 300).half()
    loss = affinity_matrix_loss(affinity, torch.zeros(1, 300, 300))
    assert loss.item() == pytest.approx(0.5, rel=1e-4)


def test_registered_loss():
    affinity, labels = make_pairs()
    loss = MODELS.build(dict(type='AffinityMatrixLoss', loss_weight=0.1))
    assert loss(affinity, labels) == 0.1 * affinity_matrix_loss(affinity, labels)
