"""The blockwise product with the affinity against the formula written out."""

import pytest
import torch

from mmwsss.ops import pixel_correlation


def plain(keys, maps):
    affinity = (keys.transpose(1, 2) @ keys).relu()
    return maps @ (affinity / (affinity.sum(dim=1, keepdim=True) + 1e-5))


@pytest.fixture
def batch():
    keys = torch.randn(2, 3, 7, dtype=torch.float64)
    return keys.requires_grad_(), torch.rand(2, 4, 7, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize('max_elements', [1, 2 * 7 * 3, 2**20])
def test_equals_the_formula_whatever_the_blocks(batch, max_elements):
    out = pixel_correlation(*batch, max_elements=max_elements)
    torch.testing.assert_close(out, plain(*batch))


@pytest.mark.parametrize('max_elements', [1, 2 * 7 * 3, 2**20])
def test_gradients_equal_those_of_the_formula(batch, max_elements):
    weight = torch.randn(2, 4, 7, dtype=torch.float64)
    expected = torch.autograd.grad((plain(*batch) * weight).sum(), batch)
    out = pixel_correlation(*batch, max_elements=max_elements)
    got = torch.autograd.grad((out * weight).sum(), batch)
    torch.testing.assert_close(got, expected)


def test_gradcheck(batch):
    assert torch.autograd.gradcheck(pixel_correlation, batch)


@pytest.mark.parametrize('max_elements', [2**27, 3 * 50 * 10])
def test_never_holds_more_than_one_affinity(monkeypatch, max_elements):
    sizes = []
    bmm = torch.bmm

    def counted(a, b):
        out = bmm(a, b)
        sizes.append(out.numel() if out.shape[1] == 50 else 0)
        return out

    monkeypatch.setattr(torch, 'bmm', counted)
    keys = torch.randn(3, 8, 50, requires_grad=True)
    out = pixel_correlation(keys, torch.rand(3, 2, 50), max_elements=max_elements)
    forward = max(sizes)
    sizes.clear()
    out.sum().backward()
    limit = min(max_elements, 3 * 50 * 50)
    assert 0 < forward <= limit
    # the backward pass holds a block of the affinity and one of its gradient
    assert 0 < 2 * max(sizes) <= limit


@pytest.mark.parametrize('shape', [(2, 4, 6), (1, 4, 7)])
def test_refuses_maps_of_other_pixels(batch, shape):
    with pytest.raises(ValueError, match='same N and P'):
        pixel_correlation(batch[0], torch.zeros(shape))


def test_refuses_an_empty_block(batch):
    with pytest.raises(ValueError, match='max_elements must be positive'):
        pixel_correlation(*batch, max_elements=0)
