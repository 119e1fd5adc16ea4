"""MeanTeacher, ProjectionHead and DilatedConvHead."""

import pytest
import torch
from torch import nn

from mmwsss.models import DilatedConvHead, MeanTeacher, ProjectionHead

PROJECTION = dict(
    type='ProjectionHead',
    in_channels=4,
    hidden_channels=6,
    bottleneck_channels=3,
    out_channels=5,
)


def test_the_teacher_starts_as_a_copy_and_follows():
    head = MeanTeacher(PROJECTION, momentum=0.75)
    head.init_weights()
    x = torch.randn(7, 4)
    assert torch.equal(head(x), head.teach(x))
    before = [p.clone() for p in head.teacher.parameters()]
    with torch.no_grad():
        for parameter in head.student.parameters():
            parameter.add_(1.0)
    head.update()
    for old, new in zip(before, head.teacher.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)


def test_the_teacher_has_no_gradient_and_is_saved():
    head = MeanTeacher(PROJECTION)
    assert not any(p.requires_grad for p in head.teacher.parameters())
    assert not head.teach(torch.randn(2, 4, requires_grad=True)).requires_grad
    assert {f'teacher.{n}' for n in head.teacher.state_dict()} <= set(head.state_dict())


@pytest.mark.parametrize('momentum', [-0.1, 1.1])
def test_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(ValueError, match=f'momentum must lie in 0 to 1, got {momentum}'):
        MeanTeacher(PROJECTION, momentum)


def test_projections_are_cosines_whatever_the_length_of_the_weights():
    torch.manual_seed(0)
    head = ProjectionHead(4, 6, bottleneck_channels=3, out_channels=5)
    x, weight = torch.randn(2, 8, 4), head.last.parametrizations.weight
    found = head(x)
    assert found.shape == (2, 8, 5)
    expected = torch.cosine_similarity(head.mlp(x)[..., None, :], weight.original1, dim=-1)
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        weight.original1.mul_(3.0)
    torch.testing.assert_close(head(x), found)
    assert not weight.original0.requires_grad


def test_first_layers_are_initialised_and_the_last_is_not():
    head = ProjectionHead(64, 256, bottleneck_channels=64, out_channels=64)
    last = head.last.parametrizations.weight.original1.clone()
    head.init_weights()
    assert head.mlp[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not head.mlp[0].bias.any()
    assert torch.equal(head.last.parametrizations.weight.original1, last)


def test_decoder_has_neither_norm_nor_bias():
    head = DilatedConvHead(
        in_channels=4,
        channels=6,
        num_classes=3,
        num_convs=3,
        dilation=2,
        loss_decode=dict(type='BalancedCrossEntropyLoss'),
    )
    head.init_weights()
    convs = [m for m in (*head.convs, head.conv_seg) if isinstance(m, nn.Conv2d)]
    assert [c.dilation for c in convs] == [(2, 2)] * 4
    assert all(c.bias is None for c in convs)
    # PyTorch's initialisation
    bound = (1 / (4 * 9)) ** 0.5
    assert convs[0].weight.abs().max() <= bound and convs[0].weight.std() > bound / 2
    assert head([torch.randn(2, 4, 5, 7)]).shape == (2, 3, 5, 7)
    with pytest.raises(ValueError, match='must be at least 1, got 0 and 5'):
        DilatedConvHead(num_convs=0, in_channels=4, channels=6, num_classes=3)
