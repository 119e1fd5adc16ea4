"""Scores of background and classes."""

import torch

from mmwsss.ops import background_stacks

EXPONENTS = [dict(alpha=4), dict(alpha=24)]


def test_scores_of_an_image_without_classes_are_background():
    assert torch.equal(background_stacks(torch.zeros(0, 2, 3), EXPONENTS), torch.ones(2, 1, 2, 3))


def test_scores_lie_between_0_and_1():
    cams = torch.tensor([-0.5, 0.5, 1.0]).view(1, 1, 3)
    expected = [[[1, 0.0625, 0], [0, 0.5, 1]], [[1, 2**-24, 0], [0, 0.5, 1]]]
    assert torch.equal(background_stacks(cams, EXPONENTS)[:, :, 0], torch.tensor(expected))
