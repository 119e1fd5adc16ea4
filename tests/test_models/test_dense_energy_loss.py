"""The dense energy against the sum written out, its gate, and what lies outside the image."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmwsss.models.losses import DenseEnergyLoss, dense_energy_loss
from mmwsss.ops import PermutohedralLattice, pixel_features, valid_mask

SIGMAS = dict(sigma_rgb=40, sigma_xy=3)


@pytest.fixture
def batch():
    """Make two tiny images and the probabilities of three classes, in double precision."""
    images = 255 * torch.rand(2, 3, 4, 5, dtype=torch.float64)
    probs = torch.randn(2, 3, 4, 5, dtype=torch.float64).softmax(dim=1)
    return images, probs.requires_grad_()


def kernels(images):
    """Return the matrix of the filter, ``(N, P, P)``."""
    lattice = PermutohedralLattice(pixel_features(images, **SIGMAS))
    eye = torch.eye(lattice.num_points, dtype=torch.float64)
    return lattice.filter(eye.expand(lattice.batch, -1, -1)).transpose(1, 2)


def gradient(images, probs, *args):
    (grad,) = torch.autograd.grad(dense_energy_loss(images, probs, *args, **SIGMAS), probs)
    return grad


def test_value_is_the_sum_over_pairs(batch):
    images, probs = batch
    kernel, flat = kernels(images), probs.flatten(2)
    expected = -torch.einsum('nki,nij,nkj->', flat, kernel, flat) / 2
    torch.testing.assert_close(dense_energy_loss(images, probs, **SIGMAS), expected)


def test_value_is_near_that_of_the_gaussian():
    images = torch.zeros(1, 3, 24, 24)
    images[..., 12:] = 200
    probs = torch.rand(1, 2, 24, 24)
    rows = pixel_features(images, **SIGMAS).transpose(1, 2)
    kernel = torch.exp(-torch.cdist(rows, rows).square() / 2)
    expected = -torch.einsum('nki,nij,nkj->', probs.flatten(2), kernel, probs.flatten(2))
    ratio = dense_energy_loss(images, probs, **SIGMAS) / expected
    assert 0.6 < ratio < 1


def test_gradcheck(batch):
    images, probs = batch
    assert torch.autograd.gradcheck(lambda x: dense_energy_loss(images, x, **SIGMAS), probs)


def test_gradient_of_the_logits_is_that_of_the_relaxed_potts_energy(batch):
    images, _ = batch
    kernel = kernels(images)
    kernel = (kernel + kernel.transpose(1, 2)) / 2
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    flat = logits.softmax(dim=1).flatten(2)
    potts = torch.einsum('nki,nij,nkj->', flat, kernel, 1 - flat) / 2
    loss = dense_energy_loss(images, logits.softmax(dim=1), **SIGMAS)
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits), torch.autograd.grad(potts, logits)
    )


def test_gate_scales_the_gradient_and_not_the_value(batch):
    gate = torch.rand(2, 1, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(gradient(*batch, gate), gate * gradient(*batch))
    torch.testing.assert_close(
        dense_energy_loss(*batch, gate, **SIGMAS), dense_energy_loss(*batch, **SIGMAS)
    )


def test_agreeing_with_the_colours_lowers_the_loss():
    images = torch.zeros(1, 3, 8, 8)
    images[..., 4:] = 255
    aligned = F.one_hot((images[:, 0] > 0).long(), 2).permute(0, 3, 1, 2).float()
    across = aligned.transpose(2, 3)
    assert dense_energy_loss(images, aligned, **SIGMAS) < dense_energy_loss(
        images, across, **SIGMAS
    )


def make_module_inputs():
    valid = torch.ones(2, 1, 8, 12)
    valid[0, :, :, 6:] = 0
    return dict(
        logits=torch.randn(2, 3, 8, 12),
        images=torch.randint(256, (2, 3, 8, 12)),
        labels=torch.randint(3, (2, 8, 12)),
        valid=valid,
    )


@pytest.mark.parametrize(('name', 'value'), [('logits', 9.0), ('images', 255), ('labels', 255)])
def test_what_is_not_image_changes_nothing(name, value):
    inputs = make_module_inputs()
    loss = DenseEnergyLoss(1.0)
    gradients = []
    for spoil in (False, True):
        changed = dict(inputs, logits=inputs['logits'].clone())
        if spoil:
            changed[name] = changed[name].clone()
            changed[name][0, ..., 6:] = value
        changed['logits'].requires_grad_()
        out = loss(**changed)
        out.backward()
        gradients.append((out.detach(), changed['logits'].grad))
    torch.testing.assert_close(*gradients)


def test_nothing_valid_gives_a_finite_zero_on_the_graph():
    inputs = make_module_inputs()
    inputs['logits'].requires_grad_()
    value = DenseEnergyLoss(1.0)(**dict(inputs, valid=torch.zeros(2, 1, 8, 12)))
    value.backward()
    assert value.item() == 0
    assert torch.equal(inputs['logits'].grad, torch.zeros(2, 3, 8, 12))


def test_module_gates_by_confidence_at_half_size():
    inputs = make_module_inputs()
    inputs['labels'][:, ::3] = 255
    logits = inputs['logits'].requires_grad_()
    grad = torch.autograd.grad(DenseEnergyLoss(2.0, reference_size=None)(**inputs), logits)
    small = F.avg_pool2d(logits.softmax(dim=1), 2)
    gate = 1 - small.detach().amax(dim=1, keepdim=True)
    gate[inputs['labels'][:, None, ::2, ::2] == 255] = 1
    images, valid = (inputs[name][..., ::2, ::2].float() for name in ('images', 'valid'))
    expected = 2 * dense_energy_loss(images, small, gate, valid, sigma_rgb=15, sigma_xy=50)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, logits))


def test_logits_may_be_smaller_than_the_images():
    inputs = make_module_inputs()
    inputs['logits'] = torch.randn(2, 3, 2, 3, requires_grad=True)
    loss = MODELS.build(dict(type='DenseEnergyLoss', reference_size=None))(**inputs)
    loss.backward()
    assert -1e-2 < loss.item() < 0
    assert inputs['logits'].grad.abs().sum() > 0


def test_takes_the_pseudo_masks_and_boxes_of_afa():
    """Masks in one byte, boxes as bools, and the settings that the paper gives."""
    inputs = make_module_inputs()
    inputs['labels'][:, ::3] = 255
    expected = DenseEnergyLoss(1.0, sigma_rgb=15, sigma_xy=100, scale=0.5)(**inputs)
    boxes = torch.tensor([[0, 0, 8, 6], [0, 0, 8, 12]])
    inputs.update(labels=inputs['labels'].to(torch.uint8), valid=valid_mask(boxes, (8, 12)))
    loss = MODELS.build(dict(type='DenseEnergyLoss', loss_weight=1e-9))(**inputs)
    torch.testing.assert_close(loss, 1e-9 * expected, rtol=1e-6, atol=0)


def enlarged(inputs, factor):
    """Repeat every pixel, and leave the logits as they are."""
    out = dict(inputs)
    for name in ('images', 'labels', 'valid'):
        out[name] = inputs[name].repeat_interleave(factor, -1).repeat_interleave(factor, -2)
    return out


def test_weight_does_not_depend_on_the_size():
    inputs, found = make_module_inputs(), []
    for factor in (4, 8):
        logits = inputs['logits'].clone().requires_grad_()
        loss = DenseEnergyLoss(1.0)(**enlarged(dict(inputs, logits=logits), factor))
        found.append((loss.detach(), *torch.autograd.grad(loss, logits)))
    # the sum over all pairs grows 16 times
    (small, small_grad), (large, large_grad) = found
    assert 0.7 < large / small < 1.4
    assert 0.7 < large_grad.norm() / small_grad.norm() < 1.4


def test_at_the_reference_size_it_is_the_sum():
    inputs = make_module_inputs()
    inputs = {name: x[..., :8] for name, x in inputs.items()}
    assert torch.equal(
        DenseEnergyLoss(reference_size=8)(**inputs), DenseEnergyLoss(reference_size=None)(**inputs)
    )
    assert DenseEnergyLoss().reference_size == 512
    with pytest.raises(ValueError, match='reference_size must be positive or None, got 0'):
        DenseEnergyLoss(reference_size=0)


@pytest.mark.parametrize('name', ['sigma_rgb', 'sigma_xy', 'scale'])
def test_refuses_what_is_not_positive(name):
    with pytest.raises(ValueError, match='sigma_rgb, sigma_xy and scale must be positive, got'):
        DenseEnergyLoss(**{name: 0})
