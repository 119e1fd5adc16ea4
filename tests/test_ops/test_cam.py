"""Normalisation of class activation maps and background scores."""

import pytest
import torch

from mmwsss.ops import background_score, keep_maximum, max_norm, min_max_norm, normalize_cam


def test_normalize_cam_follows_the_formula():
    cam = torch.tensor([[[1.0, 2.0], [5.0, 3.0]]])
    e = 1e-5
    expected = torch.tensor([[[(0 - 1 - e) / (4 + e), (2 - 1 - e) / (4 + e)],
                              [(5 - 1 - e) / (4 + e), (3 - 1 - e) / (4 + e)]]])  # fmt: skip
    torch.testing.assert_close(normalize_cam(cam), expected)


def test_normalize_cam_of_a_suppressed_class_is_minus_one():
    torch.testing.assert_close(normalize_cam(torch.zeros(2, 3, 4)), -torch.ones(2, 3, 4))


def test_normalize_cam_treats_maps_one_by_one():
    cams = torch.rand(3, 2, 5, 6) * torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1)
    together = normalize_cam(cams)
    torch.testing.assert_close(together[2, 1], normalize_cam(cams[2, 1]))


def test_max_norm_lies_in_the_unit_interval_and_has_gradients():
    cams = (torch.randn(2, 3, 4, 5, dtype=torch.float64) * 7).requires_grad_()
    out = max_norm(cams)
    assert out.min() >= 0
    assert out.max() <= 1
    assert torch.autograd.gradcheck(max_norm, (cams,))


def test_keep_maximum_keeps_ties():
    scores = torch.tensor([9.0, 0.5, 0.5, 0.2]).view(1, 4, 1, 1)
    expected = torch.tensor([0.5, 0.5, 0.5, 0.0])
    torch.testing.assert_close(keep_maximum(scores).flatten(), expected)


def test_background_score_constant_and_power():
    scores = torch.tensor([[[0.5, -2.0]], [[0.25, -1.0]]])
    torch.testing.assert_close(background_score(scores, 0.3), torch.full((1, 1, 2), 0.3))
    power = background_score(scores, dict(alpha=4))
    torch.testing.assert_close(power, torch.tensor([[[0.5**4, 1.0]]]))


@pytest.mark.parametrize('function', [normalize_cam, max_norm, min_max_norm])
def test_normalisation_does_not_change_its_input(function):
    cams = torch.randn(1, 2, 3, 3)
    before = cams.clone()
    function(cams)
    torch.testing.assert_close(cams, before)


def test_min_max_norm_follows_the_formula():
    cams = torch.rand(2, 3, 4, 5, dtype=torch.float64) * 9 - 3
    cams[1, 2] = 4
    out = min_max_norm(cams)
    for i in range(2):
        for k in range(3):
            shifted = cams[i, k] - cams[i, k].min()
            torch.testing.assert_close(out[i, k], shifted / (shifted.max() + 1e-5))
    assert not out[1, 2].any()
