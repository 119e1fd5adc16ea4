"""The background score that maps choose themselves: Otsu's threshold."""

from itertools import combinations

import numpy as np
import pytest

from mmwsss.evaluation import CAMFileError, write_cam_file
from mmwsss.evaluation.background_threshold import (
    automatic_background_score,
    multi_otsu_threshold,
    otsu_threshold,
)


def spread_between_groups(counts, values, edge):
    """Return Otsu's criterion from its definition: the weighted distance of two means."""
    low, high = counts[:edge], counts[edge:]
    if not low.sum() or not high.sum():
        return 0.0
    means = [(c * x).sum() / c.sum() for c, x in ((low, values[:edge]), (high, values[edge:]))]
    return low.sum() * high.sum() * (means[0] - means[1]) ** 2


@pytest.mark.parametrize('seed', range(4))
def test_no_other_threshold_separates_better(seed):
    generator = np.random.default_rng(seed)
    counts, values = generator.integers(0, 50, 24), np.sort(generator.random(24))
    criteria = [spread_between_groups(counts, values, edge) for edge in range(1, 24)]
    edge = np.argmax(criteria)
    assert otsu_threshold(counts, values) == values[edge : edge + 2].mean()


@pytest.mark.parametrize('seed', range(4))
def test_no_other_pair_of_thresholds_separates_three_groups_better(seed):
    counts = np.random.default_rng(seed).integers(0, 50, 24)
    centres = (np.arange(24) + 0.5) / 24
    overall = np.average(centres, weights=counts)

    def variance_of_means(edges):
        groups = zip(np.split(counts, edges), np.split(centres, edges), strict=True)
        return sum(c.sum() * ((c * x).sum() / c.sum() - overall) ** 2 for c, x in groups if c.sum())

    best = max(combinations(range(1, 24), 2), key=variance_of_means)
    assert multi_otsu_threshold(counts) == pytest.approx(best[1] / 24)


def test_what_lies_between_is_no_object(tmp_path):
    levels = np.repeat(np.array([0.1, 0.5, 0.9], np.float32), 8)
    write_cam_file(tmp_path / 'a.npz', np.array([3]), levels.reshape(1, 4, 6))
    assert 0.5 <= automatic_background_score([tmp_path / 'a.npz'], 'multi-otsu') < 0.9


@pytest.mark.parametrize('counts', [[0, 0, 0], [0, 7, 0]])
def test_values_that_cannot_be_separated(counts):
    assert otsu_threshold(np.array(counts), np.arange(3.0)) == 0.5
    assert multi_otsu_threshold(np.array(counts)) == 0.5


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_maps_near_0_are_separated_too(tmp_path, dtype):
    """Steep maps; two levels that 512 bins of equal width cannot tell apart."""
    cams = np.full((1, 40, 60), 0.0004, np.float32)
    cams[:, :, 30:] = 0.0012
    write_cam_file(tmp_path / 'a.npz', np.array([3]), cams, dtype=dtype)
    assert 0.0004 <= automatic_background_score([tmp_path / 'a.npz']) < 0.0012


def test_the_precision_of_files_does_not_matter(tmp_path):
    cams = np.random.default_rng(0).random((1, 40, 60), np.float32) ** 8
    found = set()
    for dtype in ('float16', 'float32'):
        write_cam_file(tmp_path / f'{dtype}.npz', np.array([3]), cams, dtype=dtype)
        found.add(automatic_background_score([tmp_path / f'{dtype}.npz']))
    assert len(found) == 1


def test_two_levels_are_separated_whatever_the_classes(tmp_path):
    cams = np.full((2, 4, 6), 0.1, np.float32)
    cams[1, :, 3:] = 0.9
    write_cam_file(tmp_path / 'a.npz', np.array([3, 7]), cams)
    # an image without any class says nothing about the score
    write_cam_file(tmp_path / 'b.npz', np.zeros(0, np.int64), np.zeros((0, 40, 60), np.float32))
    assert 0.1 <= automatic_background_score(sorted(tmp_path.iterdir())) < 0.9


def test_a_file_that_is_none(tmp_path):
    (tmp_path / 'a.npz').write_bytes(b'maps')
    with pytest.raises(CAMFileError, match=r'a\.npz is damaged or no CAM file'):
        automatic_background_score([tmp_path / 'a.npz'])
