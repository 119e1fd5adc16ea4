"""The dense CRF of large photographs."""

import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.models import DenseCRF, LimitedDenseCRF

SETTINGS = dict(num_iters=2, bilateral=dict(sxy=8, srgb=13, weight=10))


def halves(height, width):
    """Return an image of two halves, and probabilities that are unsure of the right one."""
    image = torch.zeros(1, 3, height, width, dtype=torch.uint8)
    image[..., width // 2 :] = 200
    probs = torch.full((1, 2, height, width), 0.5)
    probs[:, 0, :, : width // 2], probs[:, 1, :, : width // 2] = 0.9, 0.1
    third = width // 3
    probs[:, 0, :, -third:], probs[:, 1, :, -third:] = 0.1, 0.9
    return image, probs


def test_small_images_are_refined_as_by_the_dense_crf():
    image, probs = halves(20, 24)
    expected = DenseCRF(**SETTINGS)(image, probs)
    assert torch.equal(LimitedDenseCRF(max_size=24, **SETTINGS)(image, probs), expected)


def test_large_images_are_refined_at_the_limit():
    image, probs = halves(80, 96)
    sizes = []
    crf = LimitedDenseCRF(max_size=24, **SETTINGS)
    kernels = crf.kernels
    crf.kernels = lambda images: sizes.append(tuple(images.shape)) or kernels(images)
    refined = crf(image, probs)
    assert sizes == [(1, 3, 20, 24)]
    assert refined.shape == probs.shape
    torch.testing.assert_close(refined.sum(dim=1), torch.ones(1, 80, 96))
    labels = refined.argmax(dim=1)
    assert (labels[..., :44] == 0).all() and (labels[..., 52:] == 1).all()


def test_a_config_builds_it():
    crf = MODELS.build(dict(type='LimitedDenseCRF', max_size=30, **SETTINGS))
    assert (crf.max_size, crf.num_iters) == (30, 2)


def test_wrong_sizes_are_refused():
    image, probs = halves(80, 96)
    with pytest.raises(ValueError, match='must have the same N, H and W'):
        LimitedDenseCRF(max_size=24)(image, probs[..., :50])
    with pytest.raises(ValueError, match='max_size must be at least 1, got 0'):
        LimitedDenseCRF(max_size=0)
