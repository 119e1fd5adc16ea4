"""Losses of SEAM: values by hand, gradients, and what lies outside the valid pixels."""

import pytest
import torch

from mmwsss.models.losses import (
    EquivariantCrossLoss,
    EquivariantLoss,
    MinPoolingLoss,
    equivariant_cross_loss,
    equivariant_loss,
    min_pooling_loss,
)


def test_equivariant_loss_is_a_mean_over_all_channels():
    loss = equivariant_loss(torch.zeros(1, 2, 1, 2), torch.tensor([[[[1.0, 0.0]], [[0.0, 0.0]]]]))
    assert loss.item() == 0.25


def test_cross_loss_keeps_the_hardest_elements_of_each_image():
    target = torch.arange(10.0).view(1, 5, 1, 2) / 10
    batch = torch.cat([target, target / 2])
    loss = equivariant_cross_loss(torch.zeros(2, 5, 1, 2), batch)
    torch.testing.assert_close(loss, torch.tensor((0.9 + 0.8 + 0.45 + 0.4) / 4))


def test_cross_loss_does_not_move_its_target():
    target = torch.rand(1, 3, 2, 2, requires_grad=True)
    cam = torch.rand(1, 3, 2, 2, requires_grad=True)
    equivariant_cross_loss(cam, target).backward()
    assert target.grad is None
    assert cam.grad.abs().sum() > 0


def test_min_pooling_takes_the_smallest_maxima():
    cam = torch.tensor([[[5.0, 1.0, -3.0, 2.0]], [[0.0, 4.0, -1.0, 0.0]]]).view(1, 2, 2, 2)
    # maxima over the classes: 5, 4, -1, 2; of these the smallest half, rectified
    assert min_pooling_loss(cam, keep_ratio=0.5).item() == 1.0


@pytest.mark.parametrize('loss', [equivariant_loss, equivariant_cross_loss])
def test_invalid_pixels_change_nothing(loss):
    valid = torch.ones(2, 1, 4, 5)
    valid[:, :, :, 3:] = 0
    cam, other = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    spoilt = torch.where(valid > 0, cam, 7.0)
    torch.testing.assert_close(loss(spoilt, other, valid), loss(cam, other, valid))


@pytest.mark.parametrize('loss', [equivariant_loss, equivariant_cross_loss])
def test_nothing_valid_gives_a_finite_zero_on_the_graph(loss):
    cam = torch.rand(1, 3, 2, 2, requires_grad=True)
    value = loss(cam, torch.rand(1, 3, 2, 2), torch.zeros(1, 1, 2, 2))
    value.backward()
    assert value.item() == 0
    assert torch.equal(cam.grad, torch.zeros_like(cam))


@pytest.mark.parametrize('loss', [equivariant_loss, equivariant_cross_loss])
def test_gradcheck(loss):
    other = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    cam = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: loss(x, other), (cam,))


def test_gradcheck_min_pooling():
    cam = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(min_pooling_loss, (cam,))


def test_modules_weigh_the_functions():
    a, b = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    pairs = [
        (EquivariantLoss(2.0)(a, b), equivariant_loss(a, b)),
        (EquivariantCrossLoss(2.0, keep_ratio=1.0)(a, b), equivariant_loss(a, b)),
        (MinPoolingLoss(2.0, keep_ratio=1.0)(a), a.amax(1).mean()),
    ]
    for got, expected in pairs:
        torch.testing.assert_close(got, 2 * expected)


@pytest.mark.parametrize('kind', [EquivariantCrossLoss, MinPoolingLoss])
@pytest.mark.parametrize('ratio', [0.0, 1.5])
def test_ratio_is_checked(kind, ratio):
    with pytest.raises(ValueError, match=r'keep_ratio must lie in \(0, 1\]'):
        kind(keep_ratio=ratio)


def test_modules_take_inputs_by_name():
    cam, other, valid = torch.rand(1, 2, 3, 3), torch.rand(1, 2, 3, 3), torch.ones(1, 1, 3, 3)
    valid[..., 0] = 0
    found = EquivariantLoss(2.0)(cam, other, valid=valid)
    torch.testing.assert_close(found, 2 * equivariant_loss(cam, other, valid))
