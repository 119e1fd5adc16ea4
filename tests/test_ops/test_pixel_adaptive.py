"""Pixel-adaptive refinement against the formula, one neighbour after the other."""

import pytest
import torch
import torch.nn.functional as F

from mmwsss.ops import (
    pixel_adaptive_mask_weights,
    pixel_adaptive_refine,
    pixel_adaptive_weights,
    resize_boxes,
)
from tests.large_tensors import LargeTensors

AROUND = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def gather(maps, dilations):
    """Return ``(N, C, neighbours, H, W)`` by indices cut to the border."""
    rows, columns = torch.arange(maps.shape[2]), torch.arange(maps.shape[3])
    seen = [
        maps[:, :, (rows + d * dy).clamp(0, len(rows) - 1)][
            ..., (columns + d * dx).clamp(0, len(columns) - 1)
        ]
        for d in dilations
        for dy, dx in AROUND
    ]
    return torch.stack(seen, dim=2)


def plain_weights(images, dilations, w1=0.3, w2=0.3, w3=0.01):
    seen = gather(images, dilations)
    color = -(((seen - images[:, :, None]).abs() / (seen.std(2, keepdim=True) + 1e-8) / w1) ** 2)
    far = torch.tensor([d * (dy**2 + dx**2) ** 0.5 for d in dilations for dy, dx in AROUND])
    position = -((far / (far.std() + 1e-8) / w2) ** 2)
    return color.mean(1).softmax(1) + w3 * position.softmax(0).view(1, -1, 1, 1)


@pytest.mark.parametrize('dilations', [(1,), (1, 2, 4), (3, 24)])
@pytest.mark.parametrize('size', [(7, 9), (8, 3), (1, 6), (5, 1)])
def test_follows_the_formula(size, dilations):
    images, maps = torch.rand(2, 3, *size), torch.rand(2, 4, *size)
    weights = pixel_adaptive_weights(images, dilations)
    torch.testing.assert_close(weights, plain_weights(images, dilations), rtol=1e-4, atol=1e-6)
    expected = maps
    for _ in range(3):
        expected = (gather(expected, dilations) * weights[:, None]).sum(2)
    torch.testing.assert_close(
        pixel_adaptive_refine(maps, weights, dilations, num_iters=3), expected
    )


@pytest.mark.parametrize('settings', [dict(w1=0.7), dict(w2=1.5, w3=0.5), dict(w3=0.0)])
def test_kernels_follow_their_settings(settings):
    images = torch.rand(2, 3, 7, 9)
    weights = pixel_adaptive_weights(images, (1, 3), **settings)
    expected = plain_weights(images, (1, 3), **settings)
    torch.testing.assert_close(weights, expected, rtol=1e-4, atol=1e-6)


def test_position_kernel_alone_is_the_same_everywhere():
    both = pixel_adaptive_weights(torch.rand(1, 3, 4, 5), (1, 2), w3=0.5)
    color = pixel_adaptive_weights(torch.rand(1, 3, 4, 5), (1, 2), w1=None, w3=0.5)
    assert (color == color[:, :, :1, :1]).all()
    torch.testing.assert_close(both.sum(1) - 1, color.sum(1))


def plain_mask_weights(images, dilations):
    """PAMR: differences by convolutions, deviations over neighbours and the pixel itself."""
    seen, around = [], []
    for d in dilations:
        padded = F.pad(images, (d,) * 4, mode='replicate')
        patches = F.unfold(padded, 3, dilation=d).view(*images.shape[:2], 9, *images.shape[2:])
        around.append(patches)
        seen.append(patches[:, :, [k for k in range(9) if k != 4]])
    std = torch.cat(around, 2).std(2, keepdim=True)
    difference = (torch.cat(seen, 2) - images[:, :, None]).abs()
    return (-difference / (1e-8 + 0.1 * std)).mean(1).softmax(1)


@pytest.mark.parametrize('dilations', [(1,), (1, 2, 4), (3, 24)])
@pytest.mark.parametrize('size', [(7, 9), (1, 6)])
def test_mask_refinement_follows_its_formula(size, dilations):
    images, maps = torch.rand(2, 3, *size), torch.rand(2, 4, *size)
    weights = pixel_adaptive_mask_weights(images, dilations)
    expected = plain_mask_weights(images, dilations)
    torch.testing.assert_close(weights, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(weights.sum(1), torch.ones(2, *size))
    refined = pixel_adaptive_refine(maps, weights, dilations, num_iters=3)
    for _ in range(3):
        maps = (gather(maps, dilations) * expected[:, None]).sum(2)
    torch.testing.assert_close(refined, maps)


def test_weights_of_a_pixel_sum_to_a_little_more_than_one():
    weights = pixel_adaptive_weights(torch.rand(1, 3, 6, 5), (1, 3))
    torch.testing.assert_close(weights.sum(1), torch.full((1, 6, 5), 1.01))


@pytest.mark.parametrize('size', [(1, 1), (4, 4)])
def test_neighbours_of_one_colour_count_alike_but_for_distance(size):
    weights = pixel_adaptive_weights(torch.full((1, 3, *size), 0.7), (1,))
    axis, diagonal = weights[0, 1], weights[0, 0]
    assert (axis > diagonal).all()
    torch.testing.assert_close(diagonal, torch.full(size, 1 / 8), rtol=0, atol=0.0025)
    torch.testing.assert_close(4 * (axis + diagonal), torch.full(size, 1.01))


def test_a_batch_is_each_image_alone():
    images, maps = torch.rand(3, 3, 6, 7), torch.rand(3, 2, 6, 7)
    weights = pixel_adaptive_weights(images, (1, 2))
    out = pixel_adaptive_refine(maps, weights, (1, 2), num_iters=2)
    for i in range(3):
        alone = pixel_adaptive_weights(images[i : i + 1], (1, 2))
        assert torch.equal(alone, weights[i : i + 1])
        alone = pixel_adaptive_refine(maps[i : i + 1], alone, (1, 2), num_iters=2)
        assert torch.equal(alone, out[i : i + 1])


def test_holds_nothing_larger_than_weights_and_padded_maps():
    images, maps = torch.rand(2, 3, 40, 50), torch.rand(2, 5, 40, 50)
    with LargeTensors() as tensors:
        weights = pixel_adaptive_weights(images, (1, 2, 4))
    assert (tensors.largest, tensors.count) == (weights.numel(), 1)
    with LargeTensors() as tensors:
        pixel_adaptive_refine(maps, weights, (1, 2, 4), num_iters=2)
    assert tensors.largest == 2 * 5 * 48 * 58


def test_inputs_are_left_alone_and_results_have_no_gradient():
    images = torch.rand(1, 3, 4, 5, requires_grad=True)
    maps = torch.rand(1, 2, 4, 5, requires_grad=True)
    before = images.detach().clone(), maps.detach().clone()
    out = pixel_adaptive_refine(maps, pixel_adaptive_weights(images, (1,)), (1,), num_iters=2)
    assert not out.requires_grad
    assert torch.equal(images, before[0])
    assert torch.equal(maps, before[1])


def test_half_precision_is_computed_in_single():
    images, maps = torch.rand(1, 3, 6, 5).half(), torch.rand(1, 2, 6, 5).half()
    weights = pixel_adaptive_weights(images, (1, 2))
    assert torch.equal(weights, pixel_adaptive_weights(images.float(), (1, 2)))
    out = pixel_adaptive_refine(maps, weights, (1, 2), num_iters=2)
    assert torch.equal(out, pixel_adaptive_refine(maps.float(), weights, (1, 2), num_iters=2))


@pytest.mark.parametrize('dilations', [(), (0, 1), (-2,)])
def test_refuses_dilations_that_are_none(dilations):
    with pytest.raises(ValueError, match='dilations must be positive'):
        pixel_adaptive_weights(torch.rand(1, 3, 4, 4), dilations)


def test_refuses_images_without_batch():
    with pytest.raises(ValueError, match=r'images must be \(N, 3, H, W\), got \(3, 4, 4\)'):
        pixel_adaptive_weights(torch.rand(3, 4, 4), (1,))


@pytest.mark.parametrize('shape', [(1, 2, 4, 4), (2, 2, 4, 5), (2, 4, 4)])
def test_refuses_maps_of_another_shape(shape):
    weights = pixel_adaptive_weights(torch.rand(2, 3, 4, 4), (1,))
    with pytest.raises(ValueError, match='of the same N, H and W'):
        pixel_adaptive_refine(torch.rand(shape), weights, (1,), num_iters=1)


def test_refuses_weights_of_other_dilations():
    weights = pixel_adaptive_weights(torch.rand(1, 3, 4, 4), (1,))
    with pytest.raises(ValueError, match=r'weights \(N, 16, H, W\).*for 2 dilations'):
        pixel_adaptive_refine(torch.rand(1, 1, 4, 4), weights, (1, 2), num_iters=1)


def test_refuses_no_iteration():
    weights = pixel_adaptive_weights(torch.rand(1, 3, 4, 4), (1,))
    with pytest.raises(ValueError, match='num_iters must be at least 1, got 0'):
        pixel_adaptive_refine(torch.rand(1, 1, 4, 4), weights, (1,), num_iters=0)


SIZES = [(7, 9), (4, 9), (1, 1), (7, 3)]


def test_images_of_several_sizes_are_each_image_alone():
    boxes = [(0, 0, *size) for size in SIZES]
    images, maps = torch.rand(4, 3, 7, 9), torch.rand(4, 2, 7, 9)
    weights = pixel_adaptive_weights(resize_boxes(images, boxes, boxes, (7, 9)), (1, 4))
    for i, (height, width) in enumerate(SIZES):
        maps[i, :, height:] = torch.nan
        maps[i, :, :, width:] = torch.nan
    out = pixel_adaptive_refine(maps, weights, (1, 4), num_iters=3, sizes=SIZES)
    for i, (height, width) in enumerate(SIZES):
        inside = (slice(i, i + 1), slice(None), slice(height), slice(width))
        alone = pixel_adaptive_weights(images[inside], (1, 4))
        torch.testing.assert_close(weights[inside], alone)
        alone = pixel_adaptive_refine(maps[inside], alone, (1, 4), num_iters=3)
        torch.testing.assert_close(out[inside], alone)


@pytest.mark.parametrize('sizes', [[(4, 4)], [(4, 4), (5, 4)], [(4, 4), (0, 4)]])
def test_refuses_sizes_beyond_the_plane(sizes):
    images = torch.rand(2, 3, 4, 4)
    weights = pixel_adaptive_weights(images, (1,))
    with pytest.raises(ValueError, match=r'2 sizes from \(1, 1\) to \(4, 4\) are needed, got \['):
        pixel_adaptive_refine(images, weights, (1,), num_iters=1, sizes=sizes)
