"""RawAttentionHead: the mean of attention by hand, symmetry, errors."""

import pytest
import torch

from mmwsss.models import RawAttentionHead


def test_affinity_by_hand():
    attentions = [torch.randn(2, 3, 5, 5), torch.randn(2, 1, 5, 5)]
    found = RawAttentionHead(4, head_channels=9)(attentions).sigmoid()
    mean = torch.cat([(x / 3).softmax(-1) for x in attentions], dim=1).mean(1)
    mean = mean / mean.max(-1, keepdim=True).values
    torch.testing.assert_close(found, (mean + mean.mT) / 2, rtol=1e-5, atol=1e-5)
    assert torch.equal(found, found.mT)


def test_it_has_no_weights_but_a_gradient():
    head, attention = RawAttentionHead(2, head_channels=4), torch.randn(1, 2, 3, 3)
    assert not head.state_dict()
    head([attention.requires_grad_()]).sum().backward()
    assert attention.grad.any()
    assert attention.grad.isfinite().all()


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match='must be positive, got 2 and 0'):
        RawAttentionHead(2, head_channels=0)
    with pytest.raises(
        ValueError, match='in_channels=2 does not match the number of attention maps, 3'
    ):
        RawAttentionHead(2, head_channels=4)([torch.zeros(1, 3, 2, 2)])
