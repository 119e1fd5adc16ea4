"""Files of affinity scores and labels: what is written, and what is refused."""

import numpy as np
import pytest

from mmwsss.datasets import AffinityFileError, AffinityScores
from mmwsss.datasets.affinity_files import read_affinity_scores, write_affinity_scores


def scores(keys=(1, 4), size=(5, 7)):
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 256, (2, len(keys) + 1, *size), dtype=np.uint8)
    return AffinityScores(np.array(keys, dtype=np.int64), low, high)


@pytest.mark.parametrize('keys', [(), (1, 4)])
def test_scores_come_back(tmp_path, keys):
    path = tmp_path / 'new/a.npz'
    expected = scores(keys)
    write_affinity_scores(path, expected)
    for found, array in zip(read_affinity_scores(path, num_classes=6), expected, strict=True):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    assert [file.name for file in path.parent.iterdir()] == ['a.npz']


def test_same_scores_give_the_same_bytes(tmp_path):
    for name in 'ab':
        write_affinity_scores(tmp_path / f'{name}.npz', scores())
    assert (tmp_path / 'a.npz').read_bytes() == (tmp_path / 'b.npz').read_bytes()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(keys=np.zeros(3, np.int64)), r'do not fit together: got \(3,\), \(3, 5, 7\)'),
        (dict(high=np.zeros((3, 5, 6), np.uint8)), r'do not fit together.* and \(3, 5, 6\)'),
        (dict(low=np.zeros((3, 5, 7))), 'must be int64 and scores uint8, got int64, float64'),
    ],
)
def test_scores_that_do_not_fit_are_not_written(tmp_path, changes, message):
    with pytest.raises(AffinityFileError, match=message):
        write_affinity_scores(tmp_path / 'a.npz', scores()._replace(**changes))
    assert not list(tmp_path.iterdir())


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent\.npz'):
        read_affinity_scores(tmp_path / 'absent.npz')


@pytest.mark.parametrize('part', [0, 0.1, 0.5, 0.99])
def test_truncated_file(tmp_path, part):
    path = tmp_path / 'a.npz'
    write_affinity_scores(path, scores())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(AffinityFileError, match=r'a\.npz is damaged .*/make_affinity_labels\.py'):
        read_affinity_scores(path)


@pytest.mark.parametrize('save', [np.savez, lambda path, **arrays: np.save(path, arrays['cams'])])
def test_foreign_file(tmp_path, save):
    with open(tmp_path / 'a.npz', 'wb') as file:
        save(file, keys=np.zeros(1, np.int64), cams=np.zeros((1, 2, 2)), version=np.int64(1))
    with pytest.raises(AffinityFileError, match='holds no affinity scores'):
        read_affinity_scores(tmp_path / 'a.npz')


def test_version_of_the_future(tmp_path):
    np.savez(tmp_path / 'a.npz', **scores()._asdict(), version=np.int64(2))
    with pytest.raises(AffinityFileError, match='has version 2, this program reads version 1'):
        read_affinity_scores(tmp_path / 'a.npz')


def test_file_of_another_data_set(tmp_path):
    write_affinity_scores(tmp_path / 'a.npz', scores((1, 70)))
    with pytest.raises(AffinityFileError, match=r'keys \[1, 70\] must lie in 0 to 19'):
        read_affinity_scores(tmp_path / 'a.npz', num_classes=21)
