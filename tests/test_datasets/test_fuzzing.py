"""Readers of users' files, fed with what no program would write: their own error, or a result.

``MMWSSS_FUZZ_SECONDS=1800 python -m pytest -n 0 tests/test_datasets/test_fuzzing.py`` looks for
longer, with other random numbers each time.
"""

import io
import json
import os
import pickle
import struct
import tempfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmwsss.datasets import read_image_labels
from mmwsss.datasets.affinity_files import AffinityFileError, read_affinity_scores
from mmwsss.datasets.class_names import class_names
from mmwsss.datasets.image_labels import collect_labels, read_tag_names
from mmwsss.evaluation import CAMFileError, read_cam_file
from mmwsss.utils import FileProblemError
from mmwsss.utils.mxnet_params import MXNetFileError, read_mxnet_params

CLASSES = ('background', 'dog', 'cat')
LONG = float(os.environ.get('MMWSSS_FUZZ_SECONDS', 0))
# of one input: a reader that takes longer, or more than this beside 50 times the file, is wrong
SECONDS, BYTES = 5, 32 << 20

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(['dog', 'cat', 'background', 'a.jpg', 'x/a.jpg', 'b', 1, 0]),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
keys = st.one_of(leaves, values)


def items(*names):
    """Return lists of objects with these fields, some of them missing or of another type."""
    fields = {name: keys for name in names}
    item = st.one_of(st.fixed_dictionaries({}, optional=fields), values)
    return st.lists(item, max_size=4)


coco = st.fixed_dictionaries(
    dict(
        images=items('id', 'file_name'),
        annotations=items('image_id', 'category_id', 'segmentation'),
        categories=items('id', 'name'),
    )
)
mmpretrain = st.fixed_dictionaries(
    dict(
        data_list=items('img_path', 'gt_label'),
        metainfo=st.one_of(values, st.fixed_dictionaries(dict(classes=values))),
    )
)
mappings = st.dictionaries(st.text(max_size=8), st.one_of(st.lists(leaves, max_size=4), values))


def mutated(data, content):
    """Return bytes with some cut, replaced, repeated or put in."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(at, min(at + 16, len(content))))
        content[at:end] = data.draw(st.binary(max_size=16))
    return bytes(content)


def saved(value):
    """Return what ``np.save`` writes of a dict."""
    file = io.BytesIO()
    np.save(file, np.array(value, dtype=object), allow_pickle=True)
    return file.getvalue()


def archive(method=zipfile.ZIP_STORED, **arrays):
    """Return an .npz file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', method) as members:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            members.writestr(f'{name}.npy', content.getvalue())
    return file.getvalue()


def parameters(names=(b'arg:a', b'aux:b')):
    """Return a file of MXNet, of version 2, with an array for each name."""
    array = struct.pack('<Ii', 0xF993FAC9, 0) + struct.pack('<i2q', 2, 2, 3)
    array += struct.pack('<3i', 1, 0, 0) + np.ones(6, '<f4').tobytes()
    texts = b''.join(struct.pack('<Q', len(name)) + name for name in names)
    count = struct.pack('<Q', len(names))
    return struct.pack('<2Q', 0x112, 0) + count + array * len(names) + count + texts


CSV = b'image,labels\na.jpg,dog;cat\n"b,c.jpg",\n'
ONE_HOT = b'filename,dog,cat\na.jpg,1,0\nb.jpg,0,1\n'
XML = b'<annotation><object><name>dog</name></object></annotation>'
NPY = saved({'a': np.float32([1, 0]), 7: [0, 1], 'c': np.array([1, 0])})
CAMS = archive(keys=np.array([0]), cams=np.ones((1, 2, 2), np.float16), version=np.int64(1))
SCORES = archive(
    version=np.int64(1),
    keys=np.array([0]),
    **dict.fromkeys(('low', 'high'), np.ones((2, 2, 2), np.uint8)),
)


def labels(path):
    """Read a source of tags in every way there is."""
    for images in (None, ['a.jpg', 'x/b.jpg', 'y/b.jpg']):
        collect_labels(path, CLASSES, images)
        for read in (
            read_tag_names,
            lambda path, images: read_image_labels(path, CLASSES, images=images),
        ):
            try:
                read(path, images)
            except FileProblemError:
                pass


def folder_labels(path):
    labels(path.parent)


# name of the file, its content, what reads it, and the reader's own error
READERS = {
    'csv': (
        'a.csv',
        lambda data: mutated(data, data.draw(st.sampled_from([CSV, ONE_HOT]))),
        labels,
    ),
    'json': (
        'a.json',
        lambda data: json.dumps(data.draw(st.one_of(values, mappings))).encode(),
        labels,
    ),
    'coco': ('a.json', lambda data: json.dumps(data.draw(coco)).encode(), labels),
    'mmpretrain': ('a.json', lambda data: json.dumps(data.draw(mmpretrain)).encode(), labels),
    'text': ('a.json', lambda data: mutated(data, b'{"a.jpg": ["dog"], "b": []}'), labels),
    'xml': ('a.xml', lambda data: mutated(data, XML), folder_labels),
    'npy': ('a.npy', lambda data: mutated(data, NPY), labels),
    'pickle': ('a.npy', lambda data: saved(data.draw(st.dictionaries(leaves, values))), labels),
    'names': (
        'a.json',
        lambda data: json.dumps(data.draw(values)).encode(),
        lambda path: class_names([str(path)]),
    ),
    'lines': (
        'a.txt',
        lambda data: mutated(data, b'dog\ncat\n'),
        lambda path: class_names([str(path)]),
    ),
    'mxnet': ('a.params', lambda data: mutated(data, parameters()), read_mxnet_params),
    'cams': ('a.npz', lambda data: mutated(data, CAMS), lambda path: read_cam_file(path, 3)),
    'scores': (
        'a.npz',
        lambda data: mutated(data, SCORES),
        lambda path: read_affinity_scores(path, 3),
    ),
}
OWN = (FileProblemError, MXNetFileError, CAMFileError, AffinityFileError)


def feed(name, content, read):
    """Give a file to its reader: its own error or none, in bounded time and memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        start = time.process_time()
        tracemalloc.start()
        try:
            read(path)
        except OWN as error:
            assert str(error).strip()
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert time.process_time() - start < SECONDS
        assert peak < BYTES + 50 * len(content)


@pytest.mark.parametrize('kind', READERS)
def test_readers_raise_nothing_but_their_own_error(kind):
    name, make, read = READERS[kind]

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=not LONG,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def look(data):
        feed(name, make(data), read)
        look.examples = getattr(look, 'examples', 0) + 1

    end = time.monotonic() + LONG / len(READERS)
    look()
    while time.monotonic() < end:
        look()
    if LONG:
        print(f'{kind}: {look.examples} files')


def laughs(depth=40):
    """Return a pickle of tuples that hold each other: 2 ** depth parts in some hundred bytes."""
    value = ('x',)
    for _ in range(depth):
        value = (value, value)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, dict(descr='|O', fortran_order=False, shape=()))
    return header.getvalue() + b'\x80\x04}' + pickle.dumps(value, 4)[2:-1] + b'K\x01s.'


def lying():
    """Return an archive whose members say to be far larger than it is."""
    content = bytearray(CAMS)
    at = content.find(b'PK\x01\x02')
    while at >= 0:
        struct.pack_into('<2I', content, at + 20, 250 << 20, 250 << 20)
        at = content.find(b'PK\x01\x02', at + 1)
    return bytes(content)


HOSTILE = {
    'an archive that lies of its size': ('a.npz', lying(), read_cam_file),
    'tuples that hold each other': ('a.npy', laughs(), labels),
    'lists within each other': ('a.json', b'[' * 100_000, labels),
    'a number of 5000 digits': ('a.json', b'{"a": [' + b'9' * 5000 + b']}', labels),
    'a key that is a list': (
        'a.json',
        b'{"images": [{"id": [], "file_name": "a"}], "annotations": [], "categories": []}',
        labels,
    ),
    'a name that is a number': (
        'a.json',
        b'{"images": [{"id": 1, "file_name": 1}], "annotations": [], "categories": []}',
        labels,
    ),
    'an archive that unfolds': (
        'a.npz',
        archive(
            zipfile.ZIP_DEFLATED,
            version=np.int64(1),
            keys=np.array([0]),
            cams=np.zeros((1, 9000, 9000), np.float16),
        ),
        read_cam_file,
    ),
    'NUL': ('a.txt', b'\0\0', lambda path: class_names([str(path)])),
}


@pytest.mark.parametrize('case', HOSTILE)
def test_hostile_files_are_refused(case):
    name, content, read = HOSTILE[case]
    feed(name, content, read)
