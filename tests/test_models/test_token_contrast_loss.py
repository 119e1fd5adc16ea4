"""The losses of ToCo: values by hand, gradients, what is ignored, and large products."""

import pytest
import torch

from mmwsss.models.losses import (
    ClassTokenContrastLoss,
    PatchTokenContrastLoss,
    class_token_contrast_loss,
    patch_token_contrast_loss,
)


def plain_class_contrast(student, teacher, positive, tau):
    """Return the published formula, exponentials and all."""
    total = 0
    for i, flags in enumerate(positive):
        for t in teacher[:, i]:
            e = (student[:, i] @ t / tau).exp()
            negative = e[~flags].sum()
            image = torch.log(1 + negative + 1e-4)
            image = image - torch.log(e[flags] / (e[flags] + negative + 1e-4)).sum()
            total = total + image / len(teacher) / (flags.sum() + 1e-4)
    return total / len(positive)


@pytest.mark.parametrize('tau', [0.3, 1.0])
def test_class_tokens_by_the_formula(tau):
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 4, 6).double(), torch.randn(2, 4, 6).double()
    positive = torch.rand(4, 5) > 0.5
    positive[:, :2] = True
    positive[0] = True
    found = class_token_contrast_loss(student, teacher, positive, temperature=tau)
    torch.testing.assert_close(found, plain_class_contrast(student, teacher, positive, tau))


def test_gradients():
    torch.manual_seed(0)
    student = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(2, 2, 4, dtype=torch.float64)
    positive = torch.tensor([[1, 1, 0], [1, 1, 1]], dtype=torch.bool)
    assert torch.autograd.gradcheck(
        lambda x: class_token_contrast_loss(x, teacher, positive), student
    )
    feats = torch.randn(2, 3, 1, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 2, (2, 3, 3))
    assert torch.autograd.gradcheck(lambda x: patch_token_contrast_loss(x, labels), feats)


@pytest.mark.parametrize('size', [1.0, 100.0, 1e4])
@pytest.mark.parametrize('flags', [[1, 1, 0], [1, 1, 1]])
def test_products_may_be_large(size, flags):
    torch.manual_seed(0)
    student = (size * torch.randn(3, 2, 4)).requires_grad_()
    positive = torch.tensor([flags, [1, 1, 1]], dtype=torch.bool)
    loss = class_token_contrast_loss(student, torch.randn(2, 2, 4), positive)
    loss.backward()
    assert loss.isfinite() and loss >= 0 and student.grad.isfinite().all()


def test_the_teacher_gets_no_gradient():
    student = torch.randn(3, 2, 4, requires_grad=True)
    teacher = torch.randn(2, 2, 4, requires_grad=True)
    ClassTokenContrastLoss()(student, teacher, torch.ones(2, 3) > 0).backward()
    assert teacher.grad is None and student.grad.any()


def test_patch_tokens_that_are_ignored_do_not_count():
    torch.manual_seed(0)
    feats, labels = torch.randn(1, 4, 1, 3), torch.full((1, 3, 3), 255)
    labels[0, 0, 1] = labels[0, 1, 0] = 1
    changed = feats.clone()
    changed[..., 2] = 9
    assert torch.equal(*(patch_token_contrast_loss(x, labels) for x in (feats, changed)))


def test_everything_ignored_is_half_and_moves_nothing():
    feats = torch.zeros(2, 4, 2, 2, requires_grad=True)
    loss = PatchTokenContrastLoss(0.2)(feats, torch.full((2, 4, 4), 255))
    loss.backward()
    torch.testing.assert_close(loss, torch.tensor(0.1))
    assert not feats.grad.any()


def test_weights_and_temperature():
    torch.manual_seed(0)
    student, teacher = torch.randn(3, 2, 4), torch.randn(2, 2, 4)
    positive = torch.tensor([[1, 1, 0]] * 2) > 0
    found = ClassTokenContrastLoss(0.5, temperature=2.0)(student, teacher, positive)
    expected = class_token_contrast_loss(student / 2, teacher, positive, temperature=1.0) / 2
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match='temperature must be positive, got 0'):
        ClassTokenContrastLoss(temperature=0)
