"""Which cells make a pair, their paths, and the affinities of the pairs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmwsss.ops.affinity_pairs import (
    feature_affinity,
    half_disc_offsets,
    pair_slices,
    path_cells,
    path_maximum,
)

REFERENCE = Path(__file__).parents[1] / 'data/reference'


@pytest.fixture(scope='module')
def irn():
    with np.load(REFERENCE / 'semformer/affinity.npz') as file:
        return dict(file)


@pytest.fixture(scope='module')
def affinitynet():
    with np.load(REFERENCE / 'seam/affinitynet.npz') as file:
        return dict(file)


def irn_order(radius):
    """Return the places of the directions, by the length of their paths."""
    lengths = [len(path_cells(dy, dx)) for dy, dx in half_disc_offsets(radius).tolist()]
    return sorted(range(len(lengths)), key=lengths.__getitem__)


def path_indices(radius, height, width):
    """Return a table of flat cell numbers (directions, path length, sources) a path length."""
    cells = torch.arange(height * width).view(height, width)
    rows, columns, left = height - radius + 1, width - 2 * (radius - 1), radius - 1
    groups = {}
    for i in irn_order(radius):
        path = path_cells(*half_disc_offsets(radius)[i].tolist()).tolist()
        table = [cells[y : y + rows, left + x : left + x + columns].flatten() for y, x in path]
        groups.setdefault(len(path), []).append(torch.stack(table))
    return [torch.stack(group).numpy() for group in groups.values()]


def test_directions_and_paths_are_those_of_irn(irn):
    offsets = half_disc_offsets(5)
    assert np.array_equal(offsets[irn_order(5)], irn['search_dst'])
    tables = path_indices(5, 12, 14)
    assert len(tables) == json.loads(str(irn['settings']))['n_path_groups']
    for i, table in enumerate(tables):
        assert np.array_equal(table, irn[f'path_indices_{i}'])


def test_directions_and_paths_at_the_radius_of_training(irn):
    tables = path_indices(10, 128, 128)
    assert np.array_equal([t.shape for t in tables], irn['radius10_group_shapes'])
    assert np.array_equal([t.sum() for t in tables], irn['radius10_group_sums'])
    checks = []
    for table in tables:
        flat = table.flatten().astype(np.uint64)
        checks.append((flat * (np.arange(flat.size, dtype=np.uint64) % 997 + 1)).sum())
    assert np.array_equal(checks, irn['radius10_group_checks'])
    source, targets = pair_slices(torch.arange(128 * 128).view(1, 1, 128, 128), 10)
    found = [source.numel(), source.sum(), targets.numel(), targets.sum()]
    assert found == irn['radius10_src_dst'].tolist()


def test_pairs_are_those_of_irn(irn):
    source, targets = pair_slices(torch.arange(12 * 14).view(1, 1, 12, 14), 5)
    assert np.array_equal(source.flatten(), irn['src_indices'])
    assert np.array_equal(targets.flatten(3)[0, 0, irn_order(5)].flatten(1), irn['dst_indices'])


@pytest.mark.parametrize('i', [0, 1])
def test_pairs_are_those_of_affinitynet(affinitynet, i):
    height, width, radius = affinitynet[f'index{i}_setting'].tolist()
    cells = torch.arange(height * width).view(1, 1, height, width)
    source, targets = pair_slices(cells, radius)
    assert np.array_equal(source.flatten(), affinitynet[f'index{i}_from'])
    assert np.array_equal(targets.flatten(), affinitynet[f'index{i}_to'])


def test_path_maximum_gives_the_affinity_of_irn(irn):
    affinity = 1 - path_maximum(torch.from_numpy(irn['edge']), 5)
    expected = torch.from_numpy(irn['affinity'])
    torch.testing.assert_close(affinity[:, irn_order(5)].flatten(2), expected, rtol=0, atol=1e-7)


def test_gradient_of_the_path_maximum_is_that_of_irn(irn):
    edge = torch.from_numpy(irn['edge']).requires_grad_()
    affinity = 1 - path_maximum(edge, 5)[:, irn_order(5)].flatten(2)
    names = ('bg_pos_label', 'fg_pos_label', 'neg_label')
    bg, fg, neg = (torch.from_numpy(irn[name]).float() for name in names)
    alike, unlike = -(affinity + 1e-5).log(), -(1 + 1e-5 - affinity).log()
    parts = [(x * w).sum() / (w.sum() + 1e-5) for x, w in ((alike, bg), (alike, fg), (unlike, neg))]
    total = ((parts[0] + parts[1]) / 2 + parts[2]) / 2
    total.backward()
    losses = torch.stack([*parts, total]).double()
    torch.testing.assert_close(losses, torch.from_numpy(irn['losses']), rtol=1e-4, atol=0)
    expected = torch.from_numpy(irn['grad_edge'])
    torch.testing.assert_close(edge.grad, expected, rtol=1e-3, atol=1e-6)


def plain_affinity(features, radius):
    source, targets = pair_slices(features, radius)
    return (-(targets - source[:, :, None]).abs().mean(1)).exp()


@pytest.mark.parametrize(('shape', 'radius'), [((2, 3, 3, 5), 3), ((1, 7, 6, 11), 5)])
def test_feature_affinity_follows_the_formula(shape, radius):
    features = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    affinity = feature_affinity(features, radius)
    expected = plain_affinity(features, radius)
    torch.testing.assert_close(affinity, expected)
    weight = torch.randn_like(affinity)
    got = torch.autograd.grad(affinity, features, weight)
    torch.testing.assert_close(got, torch.autograd.grad(expected, features, weight))


@pytest.mark.parametrize('function', [feature_affinity, path_maximum])
@pytest.mark.parametrize('shape', [(2, 1, 2, 3), (3, 1, 4, 6)])
def test_gradcheck(function, shape):
    maps = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (maps, 2))


@pytest.mark.parametrize('function', [feature_affinity, path_maximum])
def test_a_batch_is_each_map_alone(function):
    maps = torch.rand(3, 1, 6, 13)
    each = torch.cat([function(one, 5) for one in maps.split(1)])
    assert torch.equal(function(maps, 5), each)


def test_labels_keep_their_type():
    labels = torch.randint(0, 255, (2, 1, 5, 9), dtype=torch.uint8)
    source, targets = pair_slices(labels, 5)
    assert source.dtype == targets.dtype == torch.uint8
    assert source.shape == (2, 1, 1, 1)
    assert targets.shape == (2, 1, 34, 1, 1)


@pytest.mark.parametrize('function', [feature_affinity, path_maximum, pair_slices])
@pytest.mark.parametrize('shape', [(1, 1, 4, 9), (1, 1, 5, 8), (1, 5, 9)])
def test_refuses_maps_without_a_source_cell(function, shape):
    with pytest.raises(ValueError, match=r'need.* maps \(N, C, h, w\)|must be \(N, 1, h, w\)'):
        function(torch.zeros(shape), 5)


def test_refuses_an_edge_of_several_channels():
    with pytest.raises(ValueError, match=r'must be \(N, 1, h, w\), got \(1, 2, 9, 9\)'):
        path_maximum(torch.zeros(1, 2, 9, 9), 5)


@pytest.mark.parametrize('radius', [1, 0])
def test_refuses_a_radius_without_pairs(radius):
    with pytest.raises(ValueError, match=f'radius must be at least 2, got {radius}'):
        half_disc_offsets(radius)
