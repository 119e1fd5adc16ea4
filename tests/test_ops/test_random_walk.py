"""The random walk against powers of the dense matrix."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmwsss.ops import half_disc_offsets, random_walk
from tests.large_tensors import LargeTensors

REFERENCE = Path(__file__).parents[1] / 'data/reference/seam/affinitynet.npz'


def pairs_within(height, width, radius):
    """Yield (direction, y, x, cell, partner) of every pair on the map."""
    for k, (dy, dx) in enumerate(half_disc_offsets(radius).tolist()):
        for y in range(height - dy):
            for x in range(max(0, -dx), width - max(0, dx)):
                yield k, y, x, y * width + x, (y + dy) * width + x + dx


def dense(maps, affinity, radius, beta, num_steps):
    """Return the walk of one image in float64."""
    height, width = maps.shape[2:]
    matrix = torch.eye(height * width, dtype=torch.float64)
    for k, y, x, cell, partner in pairs_within(height, width, radius):
        matrix[cell, partner] = matrix[partner, cell] = affinity[0, k, y, x].double()
    matrix = matrix**beta
    power = torch.linalg.matrix_power(matrix / matrix.sum(0, keepdim=True), num_steps)
    return (maps.double().flatten(2) @ power).view_as(maps)


def rand(maps, radius, *size):
    return torch.rand(1, maps, *size), torch.rand(1, len(half_disc_offsets(radius)), *size)


@pytest.mark.parametrize('num_steps', [0, 1, 2, 7, 64])
@pytest.mark.parametrize(('size', 'radius'), [((6, 5), 2), ((5, 9), 5), ((9, 2), 3), ((1, 8), 5)])
def test_equals_the_power_of_the_matrix(size, radius, num_steps):
    maps, affinity = rand(3, radius, *size)
    walked = random_walk(maps.double(), affinity, radius=radius, beta=3, num_steps=num_steps)
    expected = dense(maps, affinity, radius, 3, num_steps)
    torch.testing.assert_close(walked, expected, rtol=0, atol=2e-9)


@pytest.mark.parametrize(('beta', 'num_steps'), [(8, 64), (10, 256), (20, 1024)])
def test_single_precision_is_enough(beta, num_steps):
    maps, affinity = rand(2, 5, 10, 12)
    walked = random_walk(maps, affinity, radius=5, beta=beta, num_steps=num_steps)
    assert walked.dtype == torch.float32
    expected = dense(maps, affinity, 5, beta, num_steps).float()
    torch.testing.assert_close(walked, expected, rtol=0, atol=2e-5)


def test_weak_links_add_up():
    link = 5e-8  # 1 + link is 1 in single precision
    affinity = torch.full((1, 4, 1, 2), link)
    maps = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    walked = random_walk(maps, affinity, radius=2, beta=1, num_steps=1024).flatten()
    moved = (1 - ((1 - link) / (1 + link)) ** 1024) / 2
    expected = torch.tensor([1 - moved, moved])
    torch.testing.assert_close(walked, expected, rtol=0, atol=2e-6)


@pytest.fixture(scope='module')
def affinitynet():
    with np.load(REFERENCE) as file:
        return {key: torch.from_numpy(file[key]) for key in file if key.startswith('rw_beta')} | {
            'affinity': torch.from_numpy(file['rw_affinity']),
            'maps': torch.from_numpy(file['rw_pooled_cam']),
        }


@pytest.mark.parametrize(('beta', 'log'), [(8, 6), (4, 3)])
def test_agrees_with_the_published_walk_of_affinitynet(affinitynet, beta, log):
    affinity = torch.zeros(1, 34, 11, 13)
    for k, y, x, cell, partner in pairs_within(11, 13, 5):
        affinity[0, k, y, x] = affinitynet['affinity'][cell, partner]
    settings = dict(radius=5, beta=beta, num_steps=2**log)
    name = f'rw_beta{beta}_logt{log}'
    low = random_walk(affinitynet['maps'][None], affinity, **settings)[0]
    torch.testing.assert_close(low, affinitynet[f'{name}_low'], rtol=1e-3, atol=1e-4)
    # a map with one cell gives a row of the matrix
    rows = torch.eye(143).view(1, 143, 11, 13)
    matrix = random_walk(rows, affinity, **settings)
    sample = affinitynet[f'{name}_transition_sample']
    torch.testing.assert_close(matrix.flatten()[::97], sample, rtol=1e-3, atol=1e-4)
    for key, value in dict(sum=matrix, sumsq=matrix.square()).items():
        expected = affinitynet[f'{name}_transition_{key}']
        torch.testing.assert_close(value.double().sum(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_pairs_that_leave_the_map_are_left_out(value):
    maps, affinity = rand(2, 5, 7, 6)
    other = torch.full_like(affinity, value)
    for k, y, x, _, _ in pairs_within(7, 6, 5):
        other[0, k, y, x] = affinity[0, k, y, x]
    settings = dict(radius=5, beta=2, num_steps=9)
    assert not torch.equal(other, affinity)
    assert torch.equal(
        random_walk(maps, other, **settings), random_walk(maps, affinity, **settings)
    )


def test_a_batch_is_each_image_alone():
    maps, affinity = torch.rand(3, 2, 6, 7), torch.rand(3, 34, 6, 7)
    settings = dict(radius=5, beta=4, num_steps=16)
    walked = random_walk(maps, affinity, **settings)
    for i in range(3):
        one = slice(i, i + 1)
        assert torch.equal(random_walk(maps[one], affinity[one], **settings), walked[one])


def test_a_single_cell_stays():
    cell = torch.tensor([[[[0.3]], [[7.0]]]])
    walked = random_walk(cell, torch.ones(1, 34, 1, 1), radius=5, beta=8, num_steps=256)
    assert torch.equal(walked, cell)


def test_what_is_not_connected_stays_apart():
    maps, affinity = torch.zeros(1, 1, 6, 20), torch.ones(1, 34, 6, 20)
    maps[..., :10] = 1
    for k, y, x, cell, partner in pairs_within(6, 20, 5):
        affinity[0, k, y, x] = float((cell % 20 < 10) == (partner % 20 < 10))
    walked = random_walk(maps, affinity, radius=5, beta=8, num_steps=256)
    assert torch.equal(walked, maps)


def test_a_constant_map_stays():
    _, affinity = rand(1, 5, 12, 15)
    ones = torch.ones(1, 1, 12, 15)
    assert torch.equal(random_walk(ones, affinity, radius=5, beta=2, num_steps=256), ones)


@pytest.mark.parametrize('num_steps', [16, 2048])
def test_values_stay_in_the_range_of_the_map(num_steps):
    maps, affinity = rand(1, 5, 20, 30)
    walked = random_walk((maps > 0.5).float(), affinity, radius=5, beta=2, num_steps=num_steps)
    assert walked.min() >= 0
    assert walked.max() <= 1


def test_holds_nothing_larger_than_the_affinities():
    maps, affinity = rand(3, 5, 20, 30)
    with LargeTensors() as tensors:
        random_walk(maps, affinity, radius=5, beta=8, num_steps=4)
    assert tensors.largest == 34 * 20 * 34


def test_inputs_are_left_alone_and_the_result_has_no_gradient():
    maps, affinity = (x.requires_grad_() for x in rand(2, 2, 4, 5))
    before = maps.detach().clone(), affinity.detach().clone()
    assert not random_walk(maps, affinity, radius=2, beta=2, num_steps=3).requires_grad
    assert torch.equal(maps, before[0])
    assert torch.equal(affinity, before[1])


def test_half_precision_is_computed_in_single():
    maps, affinity = (x.half() for x in rand(2, 2, 4, 5))
    settings = dict(radius=2, beta=2, num_steps=3)
    walked = random_walk(maps, affinity, **settings)
    assert torch.equal(walked, random_walk(maps.float(), affinity.float(), **settings))


@pytest.mark.parametrize(
    ('maps', 'affinity'),
    [
        ((1, 2, 4, 5), (1, 33, 4, 5)),
        ((2, 2, 4, 5), (1, 34, 4, 5)),
        ((1, 2, 4, 5), (1, 34, 5, 4)),
        ((2, 4, 5), (1, 34, 4, 5)),
    ],
)
def test_refuses_affinities_of_another_shape(maps, affinity):
    with pytest.raises(ValueError, match=r'affinity \(N, 34, h, w\) for radius 5 with the same N'):
        random_walk(torch.rand(maps), torch.rand(affinity), radius=5, beta=8, num_steps=4)


@pytest.mark.parametrize(('beta', 'num_steps'), [(0, 4), (8, -1)])
def test_refuses_numbers_out_of_range(beta, num_steps):
    with pytest.raises(ValueError, match=f'not negative, got {beta} and {num_steps}'):
        random_walk(*rand(1, 2, 3, 3), radius=2, beta=beta, num_steps=num_steps)
