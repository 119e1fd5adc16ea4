"""The background score that maps choose themselves: Otsu's thresholds."""

from itertools import combinations

import numpy as np
import pytest

from mmwsss.evaluation import CAMFileError, write_cam_file
from mmwsss.evaluation.background_threshold import automatic_background_score, otsu_thresholds


def spread_between_groups(counts, edges):
    """Return Otsu's criterion from its definition: the variance of the groups' means."""
    centres = (np.arange(len(counts)) + 0.5) / len(counts)
    overall = (counts * centres).sum() / counts.sum()
    groups = zip(np.split(counts, edges), np.split(centres, edges), strict=True)
    return sum(c.sum() * ((c * x).sum() / c.sum() - overall) ** 2 for c, x in groups if c.sum())


@pytest.mark.parametrize('groups', [2, 3])
@pytest.mark.parametrize('seed', range(4))
def test_no_other_thresholds_separate_better(seed, groups):
    counts = np.random.default_rng(seed).integers(0, 50, 24)
    choices = list(combinations(range(1, 24), groups - 1))
    best = max(choices, key=lambda edges: spread_between_groups(counts, edges))
    assert otsu_thresholds(counts, groups) == pytest.approx(np.array(best) / 24)


@pytest.mark.parametrize('counts', [[0, 0, 0], [0, 7, 0]])
def test_values_that_cannot_be_separated(counts):
    assert otsu_thresholds(np.array(counts)) == (0.5,)
    assert otsu_thresholds(np.array(counts), 3) == (0.5, 0.5)


def test_two_levels_are_separated_whatever_the_classes(tmp_path):
    cams = np.full((2, 4, 6), 0.1, np.float32)
    cams[1, :, 3:] = 0.9
    write_cam_file(tmp_path / 'a.npz', np.array([3, 7]), cams)
    # an image without any class says nothing about the score
    write_cam_file(tmp_path / 'b.npz', np.zeros(0, np.int64), np.zeros((0, 40, 60), np.float32))
    assert 0.1 <= automatic_background_score(sorted(tmp_path.iterdir())) < 0.9


def test_what_lies_between_is_no_object(tmp_path):
    levels = np.repeat(np.array([0.1, 0.5, 0.9], np.float32), 8)
    write_cam_file(tmp_path / 'a.npz', np.array([3]), levels.reshape(1, 4, 6))
    assert 0.5 <= automatic_background_score([tmp_path / 'a.npz'], 'multi-otsu') < 0.9


def test_a_file_that_is_none(tmp_path):
    (tmp_path / 'a.npz').write_bytes(b'maps')
    with pytest.raises(CAMFileError, match=r'a\.npz is damaged or no CAM file'):
        automatic_background_score([tmp_path / 'a.npz'])
