"""Masks, labels of pairs and propagation against loops over pairs of cells."""

import pytest
import torch

from mmwsss.ops import pair_label_matrix, propagate_maps, radius_mask
from mmwsss.ops.affinity_matrix import _mask
from tests.host_reads import NoHostReads


def near(height, width, radius):
    cells = [(y, x) for y in range(height) for x in range(width)]
    return [[abs(a - c) <= radius and abs(b - d) <= radius for c, d in cells] for a, b in cells]


@pytest.mark.parametrize('radius', [0, 1, 2, 9])
@pytest.mark.parametrize(('height', 'width'), [(4, 5), (1, 6), (7, 2)])
def test_mask_is_a_square(height, width, radius):
    assert radius_mask((height, width), radius).tolist() == near(height, width, radius)


def test_masks_are_kept_but_not_all():
    assert radius_mask((3, 4), 2) is radius_mask((3, 4), 2, 'cpu')
    for radius in range(40):
        radius_mask((2, 2), radius)
    assert _mask.cache_info().currsize <= 16


def test_mask_made_in_inference_mode_serves_a_training():
    with torch.inference_mode():
        mask = radius_mask((3, 5), 1)
    assert not mask.is_inference()


def test_refuses_a_negative_radius():
    with pytest.raises(ValueError, match='radius must not be negative, got -1'):
        radius_mask((3, 4), -1)


@pytest.mark.parametrize('radius', [0, 1, 8])
def test_propagation_is_the_sum_over_near_cells(radius):
    maps = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    affinity = torch.rand(2, 20, 20, dtype=torch.float64)  # not symmetric: columns, not rows
    out = propagate_maps(maps, affinity, radius)
    pairs = near(4, 5, radius)
    expected = torch.zeros(2, 3, 20, dtype=torch.float64)
    for n in range(2):
        for j in range(20):
            friends = [i for i in range(20) if pairs[i][j]]
            total = sum(affinity[n, i, j].item() ** 2 for i in friends)
            for c in range(3):
                flat = maps[n, c].flatten()
                value = sum(flat[i].item() * affinity[n, i, j].item() ** 2 for i in friends)
                expected[n, c, j] = value / (total + 0.1)
    torch.testing.assert_close(out.flatten(2), expected, rtol=1e-12, atol=1e-12)


def test_affinities_of_far_cells_are_not_read():
    maps, affinity = torch.rand(1, 2, 3, 6), torch.rand(1, 18, 18)
    spoilt = affinity.masked_fill(~radius_mask((3, 6), 2), torch.nan)
    assert torch.equal(propagate_maps(maps, spoilt, 2), propagate_maps(maps, affinity, 2))


def test_propagation_leaves_its_inputs_alone_and_has_no_gradient():
    maps, affinity = torch.rand(1, 2, 2, 3), torch.rand(1, 6, 6, requires_grad=True)
    before = affinity.detach().clone()
    assert not propagate_maps(maps, affinity, 1).requires_grad
    assert torch.equal(affinity, before)


def test_propagation_is_in_single_precision_whatever_is_around():
    maps, affinity = torch.rand(1, 2, 4, 6), torch.rand(1, 24, 24)
    expected = propagate_maps(maps, affinity, 2)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(propagate_maps(maps, affinity, 2), expected)
    halves = maps.half(), affinity.half()
    expected = propagate_maps(*(x.float() for x in halves), 2)
    assert torch.equal(propagate_maps(*halves, 2), expected)


@pytest.mark.parametrize('shape', [(2, 20, 20), (1, 20, 19), (20, 20)])
def test_refuses_affinities_of_other_cells(shape):
    with pytest.raises(ValueError, match='propagate_maps: maps must be .* of the same N, h and w'):
        propagate_maps(torch.rand(1, 3, 4, 5), torch.rand(shape), 1)


@pytest.mark.parametrize('radius', [None, 0, 1, 5])
def test_labels_of_every_pair(radius):
    label_map = torch.tensor([0, 1, 2, 255])[torch.randint(4, (2, 3, 5))]
    labels = pair_label_matrix(label_map, (3, 5), radius)
    pairs = near(3, 5, 99 if radius is None else radius)
    for image, cells in zip(labels.tolist(), label_map.flatten(1).tolist(), strict=True):
        for i in range(15):
            for j in range(15):
                known = pairs[i][j] and 255 not in (cells[i], cells[j])
                assert image[i][j] == (int(cells[i] == cells[j]) if known else 255)


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int64])
def test_masks_are_reduced_to_the_nearest_pixel(dtype):
    label_map = torch.randint(0, 5, (1, 32, 48), dtype=dtype)
    expected = pair_label_matrix(label_map[:, ::16, ::16], (2, 3), 1)
    assert torch.equal(pair_label_matrix(label_map, (2, 3), 1), expected)


def test_waits_for_no_value():
    with NoHostReads():
        pair_label_matrix(torch.zeros(1, 4, 6, dtype=torch.uint8), (2, 3), 1)
        propagate_maps(torch.rand(1, 2, 2, 3), torch.rand(1, 6, 6), 1)
