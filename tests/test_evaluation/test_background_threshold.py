"""The background score that maps choose themselves: Otsu's threshold."""

import numpy as np
import pytest

from mmwsss.evaluation import CAMFileError, write_cam_file
from mmwsss.evaluation.background_threshold import automatic_background_score, otsu_threshold


def spread_between_groups(counts, edge):
    """Return Otsu's criterion from its definition: the weighted distance of two means."""
    centres = (np.arange(len(counts)) + 0.5) / len(counts)
    low, high = counts[:edge], counts[edge:]
    if not low.sum() or not high.sum():
        return 0.0
    means = [(c * x).sum() / c.sum() for c, x in ((low, centres[:edge]), (high, centres[edge:]))]
    return low.sum() * high.sum() * (means[0] - means[1]) ** 2


@pytest.mark.parametrize('seed', range(4))
def test_no_other_threshold_separates_better(seed):
    counts = np.random.default_rng(seed).integers(0, 50, 24)
    criteria = [spread_between_groups(counts, edge) for edge in range(1, 24)]
    assert otsu_threshold(counts) * 24 == pytest.approx(1 + int(np.argmax(criteria)))


@pytest.mark.parametrize('counts', [[0, 0, 0], [0, 7, 0]])
def test_values_that_cannot_be_separated(counts):
    assert otsu_threshold(np.array(counts)) == 0.5


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
