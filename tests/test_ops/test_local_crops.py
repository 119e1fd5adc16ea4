"""Local crops: drawn as torch.randperm draws, whatever the numbers, and never too many."""

import pytest
import torch

from mmwsss.ops import choose_local_crops, cut_local_crops, positive_views
from tests.host_reads import NoHostReads


def regions_of(batch=3, size=(30, 41), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 3, (batch, *size), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(('size', 'number'), [(8, 5), (7, 3), (1, 1), (29, 8)])
@pytest.mark.parametrize('seed', range(4))
def test_they_are_the_first_of_a_permutation_of_the_corners(size, number, seed):
    regions = regions_of(seed=seed)
    regions[1, :, 3:] = 2  # few corners or none
    generator = torch.Generator().manual_seed(seed)
    crops = choose_local_crops(regions, size, number, generator=generator)
    generator.manual_seed(seed)
    rows, columns = regions.shape[1] - size, regions.shape[2] - size
    for i, image in enumerate(regions):
        half = size // 2
        allowed = image[half : half + rows, half : half + columns] < 2
        corners = (allowed if allowed.sum() >= number else torch.ones_like(allowed)).nonzero()
        order = torch.randperm(len(corners), generator=generator)
        assert torch.equal(crops.positions[i], corners[order[:number]])
        assert crops.counts[i] == len(corners)


def test_ratios_are_the_means_of_the_region_map_in_the_crops():
    regions = regions_of()
    crops = choose_local_crops(regions, 6, 4)
    cut = cut_local_crops(regions[:, None], crops.positions, 6)
    means = cut.float().mean(dim=(1, 2, 3)).view(4, 3).T
    torch.testing.assert_close(crops.ratios, means)
    # the first crop of every image stands first
    y, x = crops.positions[2, 0]
    assert torch.equal(cut[2, 0], regions[2, y : y + 6, x : x + 6])


def test_nothing_is_read_back():
    with NoHostReads():
        crops = choose_local_crops(regions_of(), 6, 4)
        positive_views(crops.ratios)


def test_a_generator_leaves_the_default_one_alone():
    state = torch.get_rng_state()
    choose_local_crops(regions_of(), 6, 4, generator=torch.Generator())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(('size', 'number'), [(30, 1), (41, 1), (29, 13), (0, 1), (4, 0)])
def test_crops_that_do_not_fit_are_refused(size, number):
    with pytest.raises(ValueError, match=f'{number} crops of {size} x {size}.* of 30 x 41'):
        choose_local_crops(regions_of(), size, number)
