"""Labels for affinity learning: scores, seeds, and what becomes of them."""

import pytest
import torch

from mmwsss.ops import combine_seed_labels, fuse_affinity_scores, seed_labels


def test_blocks_are_averaged_before_they_are_compared():
    """Three pixels say background, but the fourth says class 2 louder."""
    low = torch.tensor([[0.4, 0.4, 0.4, 0.0], [0.0, 0.0, 0.0, 0.0], [0.2, 0.2, 0.2, 1.0]])
    low = low.view(3, 2, 2)
    assert fuse_affinity_scores(low, low, stride=2).tolist() == [[2]]


@pytest.mark.parametrize(
    ('low', 'high', 'label'),
    [
        ([0.9, 0.1], [0.9, 0.1], 0),
        ([0.9, 0.1], [0.1, 0.9], 255),
        ([0.1, 0.9], [0.1, 0.9], 1),
        # the sure background wins over the sure class
        ([0.1, 0.9], [0.9, 0.1], 0),
        ([0.0, 0.0], [0.0, 0.0], 255),
        # one score is enough
        ([0.0, 0.0], [0.0, 0.1], 255),
        ([0.0, 0.1], [0.0, 0.0], 0),
    ],
)
def test_label_of_a_cell(low, high, label):
    low, high = (torch.tensor(x).view(2, 1, 1) for x in (low, high))
    assert fuse_affinity_scores(low, high, stride=1).item() == label


@pytest.mark.parametrize(
    ('shapes', 'message'),
    [
        (((2, 8, 8), (3, 8, 8)), r'same shape .* got \(2, 8, 8\) and \(3, 8, 8\)'),
        (((2, 8, 12), (2, 8, 12)), r'multiples of the stride 8, got \(8, 12\)'),
    ],
)
def test_scores_that_do_not_fit_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        fuse_affinity_scores(*map(torch.zeros, shapes))


def test_background_wins_a_tie():
    cams = torch.tensor([[[0.25, 0.5]], [[0.25, 0.75]]])
    assert seed_labels(cams, (0.25, 0.5)).tolist() == [[[0, 2]], [[0, 2]]]


def test_seeds_without_classes_are_background():
    assert torch.equal(seed_labels(torch.zeros(0, 2, 3), (0.1, 0.2)), torch.zeros(2, 2, 3).long())


def test_seeds_that_disagree_on_the_background_are_ignored():
    foreground = torch.tensor([[5, 5, 0, 0]])
    background = torch.tensor([[5, 0, 5, 0]])
    assert combine_seed_labels(foreground, background).tolist() == [[5, 5, 255, 0]]
