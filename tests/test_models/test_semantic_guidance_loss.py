"""SemFormer's losses against loops over images and classes."""

from functools import partial

import pytest
import torch

from mmwsss.models.losses import (
    ActivationComplementationLoss,
    ActivationSuppressionLoss,
    PullPushLoss,
    activation_complementation_loss,
    activation_suppression_loss,
    masked_mean,
    pull_push_loss,
    pull_push_losses,
)

LABELS = torch.tensor([[1, 0, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]])


def masks_and_valid():
    torch.manual_seed(3)
    valid = torch.ones(3, 1, 5, 6, dtype=torch.bool)
    valid[0, :, 4:] = False
    valid[2, :, :, :2] = False
    return torch.rand(3, 4, 5, 6, dtype=torch.float64), valid


def complementation(masks, labels, valid):
    """Go through images, classes and pixels one by one."""
    terms = []
    for mask, label, inside in zip(masks, labels, valid, strict=True):
        present = [k for k in range(len(label)) if label[k]]
        if len(present) == 1:
            continue
        for k in present:
            for y, x in inside[0].nonzero().tolist():
                other = max(mask[j, y, x] for j in present if j != k)
                terms.append((mask[k, y, x] + other - 1) ** 2)
    return sum(terms) / len(terms)


def test_complementation_is_that_of_the_loops():
    masks, valid = masks_and_valid()
    found = activation_complementation_loss(masks, LABELS, valid)
    torch.testing.assert_close(found, complementation(masks, LABELS, valid))


def test_gradient_of_complementation_is_that_of_the_loops():
    masks, valid = masks_and_valid()
    grads = []
    for function in (activation_complementation_loss, complementation):
        leaf = masks.clone().requires_grad_()
        grads += torch.autograd.grad(function(leaf, LABELS, valid), leaf)
    torch.testing.assert_close(*grads)


def test_image_with_one_class_is_left_out():
    masks, valid = masks_and_valid()
    others = [0, 2]
    torch.testing.assert_close(
        activation_complementation_loss(masks, LABELS, valid),
        activation_complementation_loss(masks[others], LABELS[others], valid[others]),
    )
    leaf = masks.clone().requires_grad_()
    activation_complementation_loss(leaf, LABELS, valid).backward()
    assert not leaf.grad[1].any() and leaf.grad[0].any()


def test_what_lies_outside_changes_nothing():
    masks, valid = masks_and_valid()
    changed = torch.where(valid, masks, 0.5)
    changed[:, :] = torch.where(LABELS[..., None, None] > 0, changed, 0.9)
    torch.testing.assert_close(
        activation_complementation_loss(masks, LABELS, valid),
        activation_complementation_loss(changed, LABELS, valid),
    )


@pytest.mark.parametrize('labels', [[[1, 0], [1, 0]], [[0, 0], [0, 1]]])
def test_complementation_of_nothing_is_a_finite_0(labels):
    masks = torch.rand(2, 2, 3, 3, requires_grad=True)
    loss = activation_complementation_loss(masks, torch.tensor(labels), torch.ones(2, 1, 3, 3))
    loss.backward()
    assert loss.item() == 0 and not masks.grad.any()


def test_suppression_by_hand():
    masks, _ = masks_and_valid()
    found = activation_suppression_loss(masks)
    total = sum(masks[i, k].sum() for i in range(3) for k in (1, 2, 3)) / (3 * 3 * 30)
    torch.testing.assert_close(found, total + 1 - masks[:, 0].sum() / 90)


def test_suppression_of_the_background_too():
    masks, _ = masks_and_valid()
    found = ActivationSuppressionLoss(2.0, with_background=True)(masks)
    torch.testing.assert_close(found, 2 * sum(masks[:, k].mean() for k in range(4)) / 4)


def test_means_of_images_are_those_of_the_paper():
    """Eqs. 7 and 8: 1 / C over classes, 1 / (C - 1) over the others, no half."""
    torch.manual_seed(0)
    image, own = LABELS.nonzero(as_tuple=True)
    similarity = torch.rand(len(image), 4, dtype=torch.float64)
    total = 0
    for i, label in enumerate(LABELS):
        present = label.nonzero().flatten().tolist()
        for row in (image == i).nonzero().flatten().tolist():
            k = int(own[row])
            others = [1 + similarity[row, j] for j in present if j != k]
            total += (1 - similarity[row, k] + sum(others) / max(len(others), 1)) / len(present)
    pull = torch.nn.functional.one_hot(own, 4)
    push = LABELS[image] - pull
    found = PullPushLoss(2.0, per_image=True)(similarity, pull, push, image)
    torch.testing.assert_close(found, 2 * total / 3)
    # the published code does not look at images
    batch = PullPushLoss(2.0)(similarity, pull, push, image)
    torch.testing.assert_close(batch, 2 * pull_push_loss(similarity, pull, push))
    assert abs(batch - found / 2) > 1e-3


def test_pull_and_push_are_those_of_the_loops():
    torch.manual_seed(0)
    similarity = torch.rand(5, 4) * 2 - 1
    pull, push = torch.rand(5, 4) < 0.3, torch.rand(5, 4) < 0.5
    pulled = [1 - similarity[i, k] for i in range(5) for k in range(4) if pull[i, k]]
    pushed = [1 + similarity[i, k] for i in range(5) for k in range(4) if push[i, k]]
    parts = pull_push_losses(similarity, pull, push)
    torch.testing.assert_close(parts[0], sum(pulled) / len(pulled))
    torch.testing.assert_close(parts[1], sum(pushed) / len(pushed))
    torch.testing.assert_close(pull_push_loss(similarity, pull, push), sum(parts) / 2)


def test_empty_sets_give_a_finite_0():
    similarity = torch.rand(2, 3, requires_grad=True)
    none, some = torch.zeros(2, 3), torch.eye(2, 3)
    pull, push = pull_push_losses(similarity, some, none)
    assert pull > 0 and push == 0
    loss = pull_push_loss(similarity, none, none)
    loss.backward()
    assert loss.item() == 0 and not similarity.grad.any()
    assert masked_mean(torch.ones(0, 2), torch.ones(0, 2)).item() == 0


@pytest.mark.parametrize(
    'function',
    [
        lambda x: activation_complementation_loss(x, LABELS, masks_and_valid()[1]),
        activation_suppression_loss,
        lambda x: pull_push_loss(x, x > 0.5, x < 0.5),
    ],
)
def test_gradients(function):
    masks = masks_and_valid()[0].requires_grad_()
    assert torch.autograd.gradcheck(function, (masks,), eps=1e-6)


def test_losses_have_weights():
    masks, valid = masks_and_valid()
    one = torch.eye(3, 4)
    similarity = masks[:, :, 0, 0]
    for loss, plain, arguments in (
        (partial(PullPushLoss(2.0), image=None), pull_push_loss, (similarity, one, 1 - one)),
        (ActivationSuppressionLoss(2.0), activation_suppression_loss, (masks,)),
        (
            ActivationComplementationLoss(2.0),
            activation_complementation_loss,
            (masks, LABELS, valid),
        ),
    ):
        torch.testing.assert_close(loss(*arguments), 2 * plain(*arguments))
    assert ActivationSuppressionLoss().loss_weight == 0.075
