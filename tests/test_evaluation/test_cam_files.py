"""CAM files: layouts, bytes, and what the reader refuses."""

import pickle

import numpy as np
import pytest
import torch

from mmwsss.evaluation import CAMFileError, read_cam_file, write_cam_file
from mmwsss.evaluation.cam_files import cam_file_name
from mmwsss.ops import normalize_cam

KEYS = np.array([3, 0])


@pytest.fixture
def cams():
    return np.random.default_rng(0).uniform(-1, 1, (2, 9, 14)).astype(np.float32)


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_what_is_written_is_read(tmp_path, cams, dtype):
    write_cam_file(tmp_path / 'a.npz', KEYS, cams, dtype=dtype)
    keys, read = read_cam_file(tmp_path / 'a.npz', num_classes=5)
    np.testing.assert_array_equal(keys, KEYS)
    np.testing.assert_array_equal(read, cams.astype(dtype))
    assert read.dtype == dtype


def test_image_without_classes(tmp_path):
    write_cam_file(tmp_path / 'a.npz', [], np.zeros((0, 9, 14)))
    keys, cams = read_cam_file(tmp_path / 'a.npz', num_classes=5)
    assert keys.shape == (0,)
    assert cams.shape == (0, 9, 14)


@pytest.mark.parametrize('layout', ['npz', 'irn', 'psa'])
def test_same_maps_give_the_same_bytes(tmp_path, cams, layout):
    for name in 'ab':
        write_cam_file(tmp_path / name, KEYS.copy(), cams.copy(), layout=layout)
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()


def test_irn_layout(tmp_path, cams):
    write_cam_file(tmp_path / 'a.npy', KEYS, cams, layout='irn')
    data = np.load(tmp_path / 'a.npy', allow_pickle=True).item()
    assert set(data) == {'keys', 'cam', 'high_res'}
    np.testing.assert_array_equal(data['keys'], KEYS)
    np.testing.assert_array_equal(data['high_res'], cams.clip(0))
    # IRN calls .cuda() on it
    assert isinstance(data['cam'], torch.Tensor)
    assert data['cam'].shape == (2, 3, 4)
    assert 0 <= data['cam'].min() <= data['cam'].max() <= 1


def test_irn_layout_without_classes(tmp_path):
    write_cam_file(tmp_path / 'a.npy', [], np.zeros((0, 9, 14)), layout='irn')
    assert np.load(tmp_path / 'a.npy', allow_pickle=True).item()['cam'].shape == (0, 3, 4)


def test_psa_layout(tmp_path, cams):
    write_cam_file(tmp_path / 'a.npy', KEYS, cams, layout='psa')
    data = np.load(tmp_path / 'a.npy', allow_pickle=True).item()
    assert list(data) == [3, 0]
    np.testing.assert_array_equal(data[0], cams[1])
    assert data[0].dtype == np.float32


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(layout='mat'), "format must be one of npz, irn, psa, got 'mat'"),
        (dict(dtype='int8'), "dtype must be one of float16, float32, got 'int8'"),
        (dict(keys=[1]), r'a.npz: keys \(n,\) and cams .* got \(1,\) and \(2, 9, 14\)'),
    ],
)
def test_writer_refuses(tmp_path, cams, kwargs, message):
    with pytest.raises(ValueError, match=message):
        write_cam_file(tmp_path / 'a.npz', **{'keys': KEYS, 'cams': cams, **kwargs})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('length', [0, 20, 400])
def test_truncated_file(tmp_path, cams, length):
    path = tmp_path / 'a.npz'
    write_cam_file(path, KEYS, cams)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CAMFileError, match=r'a.npz is damaged or no CAM file .*: delete it'):
        read_cam_file(path)


def test_damaged_values(tmp_path, cams):
    path = tmp_path / 'a.npz'
    write_cam_file(path, KEYS, cams)
    data = bytearray(path.read_bytes())
    data[data.index(b'cams.npy') + 250] ^= 255
    path.write_bytes(data)
    with pytest.raises(CAMFileError, match=r'a.npz is damaged .*CRC'):
        read_cam_file(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'a.npz'):
        read_cam_file(tmp_path / 'a.npz')


class Bomb:
    def __reduce__(self):
        return (open, ('exploded', 'w'))


@pytest.mark.parametrize('kind', ['pickle', 'npy', 'npz'])
def test_nothing_foreign_is_executed(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    bomb = np.array([Bomb()], dtype=object)
    with open('a', 'wb') as file:
        if kind == 'pickle':
            pickle.dump(Bomb(), file)
        elif kind == 'npy':
            np.save(file, bomb)
        else:
            np.savez(file, version=1, keys=KEYS, cams=bomb)
    with pytest.raises(CAMFileError, match='a is damaged or no CAM file'):
        read_cam_file('a')
    assert not (tmp_path / 'exploded').exists()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(version=2), 'has version 2, this program reads version 1'),
        (dict(version=np.array([1, 1])), r'has version \[1 1\]'),
        (dict(keys=np.array([3, 4])), r'keys \[3, 4\] must lie in 0 to 3'),
        (dict(keys=np.array([-1, 0])), r'keys \[-1, 0\] must lie in 0 to 3'),
        (dict(keys=np.array([2, 2])), r'a class occurs twice among the keys \[2, 2\]'),
        (dict(keys=np.array([1.0, 2.0])), r'keys must be \(n,\) int64, got \(2,\) float64'),
        (dict(keys=np.array([1])), r'cams must be \(1, H, W\) .* got \(2, 9, 14\) float32'),
        (dict(cams=np.zeros((2, 9, 14))), r'cams must be \(2, H, W\) float16 or float32'),
        (dict(cams=np.zeros((2, 9), np.float32)), r'cams must be \(2, H, W\)'),
    ],
)
def test_reader_refuses(tmp_path, cams, change, message):
    np.savez(tmp_path / 'a.npz', **{'version': 1, 'keys': KEYS, 'cams': cams, **change})
    with pytest.raises(CAMFileError, match=message):
        read_cam_file(tmp_path / 'a.npz', num_classes=5)


def test_archive_of_something_else(tmp_path):
    np.savez(tmp_path / 'a.npz', version=1, keys=KEYS)
    with pytest.raises(CAMFileError, match=r'a\.npz is damaged or no CAM file'):
        read_cam_file(tmp_path / 'a.npz')


def test_array_file(tmp_path):
    np.save(tmp_path / 'a.npy', KEYS)
    with pytest.raises(CAMFileError, match=r'a\.npy is damaged or no CAM file'):
        read_cam_file(tmp_path / 'a.npy')


@pytest.mark.parametrize(('layout', 'name'), [('npz', 'x.npz'), ('irn', 'x.npy'), ('psa', 'x.npy')])
def test_name(layout, name):
    assert cam_file_name('x', layout) == name


@pytest.mark.parametrize('value', [np.nan, np.inf, 1e6])
def test_maps_that_are_not_finite_are_not_written(tmp_path, cams, value):
    cams[0, 0, 0] = value  # the last is too large for float16
    with pytest.raises(CAMFileError, match=r'a\.npz has maps with NaN or infinity and is not'):
        write_cam_file(tmp_path / 'a.npz', KEYS, cams)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_maps_that_are_not_finite_are_not_read(tmp_path, cams, value):
    cams[0, 0, 0] = value
    np.savez(tmp_path / 'a.npz', keys=KEYS, cams=cams, version=np.int64(1))
    with pytest.raises(CAMFileError, match=r'a\.npz has maps with NaN or infinity and cannot'):
        read_cam_file(tmp_path / 'a.npz')


def test_maps_that_are_the_same_everywhere_can_be_written(tmp_path):
    cams = normalize_cam(torch.full((1, 1, 1), 12.8)).numpy()
    write_cam_file(tmp_path / 'a.npz', np.array([0]), cams)
    assert read_cam_file(tmp_path / 'a.npz', 2)[1].max() < -1
