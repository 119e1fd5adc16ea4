"""The community's cls_labels.npy, also hostile ones."""

import collections
import io
import os
import pickle
import struct

import numpy as np
import pytest
from numpy.lib import format as npy_format

from mmwsss.datasets import LabelFileError, read_image_labels

CLASSES = ('background', 'dog', 'person', 'cat')


def save(path, content, protocol=None):
    """Write an object array as np.save does, with any protocol of pickle."""
    array = np.empty((), dtype=object)
    array[()] = content
    save_pickle(path, pickle.dumps(array, protocol=protocol))


def save_pickle(path, data: bytes, shape='()'):
    header = f"{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + '\n'
    path.write_bytes(
        npy_format.magic(1, 0) + struct.pack('<H', len(header)) + header.encode() + data
    )


def read(path, **kwargs):
    return read_image_labels(path, CLASSES, **kwargs)


@pytest.mark.parametrize('protocol', [0, 2, 3, 4, 5])
@pytest.mark.parametrize('dtype', ['float32', 'uint8', '>i8', 'bool'])
def test_multi_hot_vectors(tmp_path, protocol, dtype):
    path = tmp_path / 'cls_labels.npy'
    save(path, {'2007_000032': np.array([1, 0, 1], dtype), 'b.jpg': np.zeros(3, dtype)}, protocol)
    assert read(path) == {'2007_000032': (0, 2), 'b': ()}


def test_what_np_save_writes(tmp_path):
    path = tmp_path / 'cls_labels.npy'
    np.save(path, {np.str_('a'): [0, 1, 0], np.int64(2007000032): np.ones((3, 1)).T[0]})
    assert read(path) == {'a': (1,), '2007_000032': (0, 1, 2)}


def test_ordered_dict(tmp_path):
    path = tmp_path / 'cls_labels.npy'
    save(path, collections.OrderedDict(a=np.array([0.0, 0.0, 1.0])))
    assert read(path) == {'a': (2,)}


def test_pickle_of_numpy_1_is_read(tmp_path):
    array = np.empty((), dtype=object)
    array[()] = {'a': np.array([1.0, 0.0, 0.0], np.float32)}
    data = pickle.dumps(array, protocol=2).replace(b'numpy._core', b'numpy.core')
    save_pickle(tmp_path / 'old.npy', data)
    assert read(tmp_path / 'old.npy') == {'a': (0,)}


@pytest.mark.parametrize(
    'key, images, name',
    [
        (2007000032, None, '2007_000032'),
        (2007000032, ['x/2007_000032.jpg'], '2007_000032'),
        (9, ['COCO_train2014_000000000009'], 'COCO_train2014_000000000009'),
        (9, ['000000000009'], '000000000009'),
        (9, None, '000000000009'),
    ],
)
def test_numbers_as_keys(tmp_path, key, images, name):
    save(tmp_path / 'l.npy', {key: np.array([0, 1, 0])})
    assert read(tmp_path / 'l.npy', images=images) == {name: (1,)}


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize('place', ['key', 'value', 'whole'])
def test_a_pickle_bomb_is_refused_and_does_nothing(tmp_path, place):
    bomb = Bomb(tmp_path / 'touched')
    save(tmp_path / 'l.npy', {'key': {bomb: 1}, 'value': {'a': bomb}, 'whole': bomb}[place])
    with pytest.raises(LabelFileError, match=r'l\.npy: .*refused: posix\.mkdir.*nothing in it was'):
        read(tmp_path / 'l.npy')
    assert not (tmp_path / 'touched').exists()
    if place == 'value':
        np.load(tmp_path / 'l.npy', allow_pickle=True)
        assert (tmp_path / 'touched').exists(), 'the bomb of this test does not work'


@pytest.mark.parametrize('name', ['eval', 'getattr', 'dict', 'list'])
def test_not_even_builtins_are_known(tmp_path, name):
    save_pickle(tmp_path / 'l.npy', b'\x80\x02c' + f'builtins\n{name}\n'.encode() + b')R.')
    with pytest.raises(LabelFileError, match=rf'refused: builtins\.{name}'):
        read(tmp_path / 'l.npy')


def test_a_stand_in_cannot_be_changed(tmp_path):
    state = pickle.dumps((None, {'_function': 'x'}), protocol=2)[2:-1]
    save_pickle(tmp_path / 'l.npy', b'\x80\x02cnumpy\ndtype\n' + state + b'b.')
    with pytest.raises(LabelFileError, match='refused: the state of a function is set'):
        read(tmp_path / 'l.npy')


@pytest.mark.parametrize(
    'data',
    [b'\x80\x02Nr\xff\xff\xff\x7f.', b'\x80\x02Np2147483647\n.'],
    ids=['LONG_BINPUT', 'PUT'],
)
def test_a_memo_bomb_is_refused(tmp_path, data):
    save_pickle(tmp_path / 'l.npy', data)
    with pytest.raises(LabelFileError, match='refused: memo number 2147483647'):
        read(tmp_path / 'l.npy')


def test_an_array_that_claims_more_than_the_file_is_refused(tmp_path):
    array = np.empty((), dtype=object)
    array[()] = {'a': np.zeros(7, np.float32)}
    data = pickle.dumps(array, protocol=2).replace(b'K\x07', b'K\x70')
    save_pickle(tmp_path / 'l.npy', data)
    with pytest.raises(LabelFileError, match='not a plain dict of arrays'):
        read(tmp_path / 'l.npy')


def test_a_huge_header_is_refused(tmp_path):
    header = b'(' * 60000
    content = npy_format.magic(1, 0) + struct.pack('<H', len(header)) + header
    (tmp_path / 'l.npy').write_bytes(content)
    with pytest.raises(LabelFileError, match=r'not a readable \.npy file'):
        read(tmp_path / 'l.npy')


@pytest.mark.parametrize(
    'content, match',
    [
        ({'a': np.zeros(21)}, r"entry 1 \('a'\): a vector of shape \(21,\) where \(3,\)"),
        ({'a': np.array([0.2, 0, 1])}, r"entry 1 \('a'\): received values other than 0 and 1"),
        ({'a': 'dog'}, r"entry 1 \('a'\): received a str where a multi-hot vector"),
        ({1.5: np.zeros(3)}, r'entry 1 \(1\.5\): received a float as a key'),
        ({'a': np.zeros(3), 'a.jpg': np.ones(3)}, "image 'a' has two entries, entry 1"),
        ([1, 2], 'holds a list where a dict is expected'),
        ({'a': np.array([None, 1, 0])}, r"entry 1 \('a'\): received values other than 0 and 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, match):
    save(tmp_path / 'l.npy', content)
    with pytest.raises(LabelFileError, match=match):
        read(tmp_path / 'l.npy')


def test_an_array_instead_of_a_dict_is_refused(tmp_path):
    np.save(tmp_path / 'l.npy', np.zeros((4, 3)))
    with pytest.raises(
        LabelFileError, match=r'array of shape \(4, 3\) and type float64 where a dict'
    ):
        read(tmp_path / 'l.npy')


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'\x93NUMPY\x09\x00'])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / 'l.npy').write_bytes(io.BytesIO(content).read())
    with pytest.raises(LabelFileError, match=r'l\.npy: not a readable \.npy file'):
        read(tmp_path / 'l.npy')


def test_a_number_that_may_mean_two_images(tmp_path):
    content = np.array({7: np.float32([1, 0])}, dtype=object)
    np.save(tmp_path / 'l.npy', content, allow_pickle=True)
    with pytest.raises(LabelFileError, match='may mean the images a_7, b_7'):
        read_image_labels(tmp_path / 'l.npy', ('background', 'dog', 'cat'), images=['a_7', 'b_7'])
