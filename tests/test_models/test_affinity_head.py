"""AffinityHead: the formula, symmetry, initialisation, what it refuses."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

pytestmark = pytest.mark.stack


def build(in_channels=5):
    return MODELS.build(dict(type='AffinityHead', in_channels=in_channels))


def maps():
    return [torch.randn(2, heads, 6, 6, dtype=torch.double) for heads in (2, 3)]


def test_logits_are_the_convolution_of_symmetric_maps():
    head, attentions = build().double(), maps()
    logits = head(attentions)
    stack = torch.cat(attentions, dim=1)
    expected = F.conv2d(stack + stack.transpose(2, 3), head.conv.weight, head.conv.bias)[:, 0]
    torch.testing.assert_close(logits, expected)
    assert torch.equal(logits, logits.transpose(1, 2))
    assert logits.shape == (2, 6, 6)


def test_queries_and_keys_do_as_well_as_maps():
    head = build().double()
    factors = [
        tuple(torch.randn(2, heads, 6, 4, dtype=torch.double, requires_grad=True) for _ in 'qk')
        for heads in (2, 3)
    ]
    inputs = [*head.parameters(), *factors[0], *factors[1]]
    found = []
    for attentions in (factors, [q @ k.transpose(2, 3) for q, k in factors]):
        logits = head(attentions)
        found.append([logits, *torch.autograd.grad(logits.square().sum(), inputs)])
    torch.testing.assert_close(*found)


def test_queries_and_keys_of_other_positions_are_refused():
    factors = torch.zeros(2, 5, 6, 4), torch.zeros(2, 5, 3, 4)
    with pytest.raises(ValueError, match=r'got \[\(2, 5, 6, 3\)\]'):
        build()([factors])


def test_gradients_reach_weights_and_maps():
    head, attentions = build().double(), [x.requires_grad_() for x in maps()]
    head(attentions).square().sum().backward()
    assert all(p.grad.all() for p in head.parameters())
    assert all(x.grad.all() for x in attentions)


def test_weights_begin_as_published():
    head = build(4096)
    head.init_weights()
    # fan_out is 1, and the gain of a = sqrt(5) is sqrt(1 / 3)
    assert head.conv.weight.std().item() == pytest.approx(3**-0.5, rel=0.05)
    assert head.conv.weight.abs().max() > 1.5


@pytest.mark.parametrize(
    'shapes',
    [
        [(2, 5, 6, 4)],
        [(2, 2, 6, 6), (2, 3, 4, 4)],
        [(2, 4, 6, 6)],
        [(5, 6, 6)],
        [],
    ],
)
def test_other_maps_are_refused(shapes):
    with pytest.raises(
        ValueError, match=r'AffinityHead: attention maps .* 5 heads in total, got \['
    ):
        build()([torch.zeros(shape) for shape in shapes])


def test_no_maps_are_refused():
    with pytest.raises(ValueError, match='in_channels must be positive, got 0'):
        build(0)
