"""What users can cause ends in one sentence: full disks, memory, decoders, encoders, configs."""

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.fileio import get_file_backend
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import ValLoop
from mmengine.runner.checkpoint import CheckpointLoader
from mmseg.structures import SegDataSample
from PIL import Image, PngImagePlugin

from mmwsss.apis.painting import paint_cams
from mmwsss.apis.picture_errors import PictureError, naming
from mmwsss.apis.pictures import Picture
from mmwsss.cli.launch import run_tool
from mmwsss.compat import CheckpointError
from mmwsss.datasets import ImageFileError, MaskError, read_mask
from mmwsss.datasets.class_palettes import write_mask_file
from mmwsss.datasets.transforms import decode_image
from mmwsss.evaluation import write_cam_file
from mmwsss.utils import atomic_write, user_sentence
from mmwsss.visualization.encoding import encode_picture
from tests.loading import load_file

ROOT = Path(__file__).parents[1]

# full disks and missing rights: whatever writes names the file, and leaves nothing half there


@pytest.fixture
def full_disk(tmp_path):
    """A file system with room for 64 KiB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    words = ['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', str(folder)]
    if os.name != 'posix' or os.geteuid() or subprocess.run(words, capture_output=True).returncode:
        pytest.skip('file systems cannot be mounted here')
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


NOISE = np.random.default_rng(0).integers(0, 200, (500, 500), dtype=np.uint8)
WRITERS = dict(
    atomic_write=lambda path: _write(path),
    mask=lambda path: write_mask_file(path, NOISE),
    maps=lambda path: write_cam_file(path, [0], NOISE[None] / 255),
    checkpoint=lambda path: get_file_backend(path).put(NOISE.tobytes(), path),
)


def _write(path):
    with atomic_write(path) as file:
        file.write(NOISE.tobytes())


@pytest.mark.parametrize('writer', WRITERS)
def test_a_full_disk_is_a_sentence_that_names_the_file(full_disk, writer):
    path = full_disk / 'a.bin'
    path.write_bytes(b'old')
    with pytest.raises((OSError, MaskError)) as info:
        WRITERS[writer](str(path))
    sentence = user_sentence(info.value)
    assert str(path) in sentence and 'make room' in sentence
    assert path.read_bytes() == b'old' and os.listdir(full_disk) == ['a.bin']


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_what_the_system_says_gets_the_name(tmp_path, monkeypatch, number):
    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError) as info:
        _write(tmp_path / 'a.bin')
    # as it comes from another process
    sentence = user_sentence(pickle.loads(pickle.dumps(info.value)))
    assert str(tmp_path / 'a.bin') in sentence and os.strerror(number) in sentence
    assert not list(tmp_path.iterdir())


def tool(run):
    import argparse

    return argparse.ArgumentParser(prog='tool.py'), run, []


ENDS = {
    'memory': MemoryError('Unable to allocate 9 GiB'),
    'cpu': RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    'gpu': torch.cuda.OutOfMemoryError('CUDA out of memory'),
    'fork': OSError(errno.ENOMEM, 'Cannot allocate memory'),
    'disk': OSError(errno.ENOSPC, 'No space left on device', 'out/a.png'),
    'right': PermissionError(errno.EACCES, 'Permission denied', 'out/a.png'),
    'saving': RuntimeError('[enforce fail] PytorchStreamWriter failed writing file data/1'),
    'worker': RuntimeError('DataLoader worker (pid 3) is killed by signal: Killed.'),
}


@pytest.mark.parametrize('case', ENDS)
def test_a_tool_ends_with_one_sentence(capsys, case):
    def run(args):
        raise ENDS[case]

    with pytest.raises(SystemExit, match='2'):
        run_tool(*tool(run))
    said = capsys.readouterr().err
    assert said.startswith('tool.py: ') and said.count('\n') == 1


def test_errors_of_the_program_keep_their_traceback():
    def run(args):
        raise RuntimeError('shapes differ')

    with pytest.raises(RuntimeError, match='shapes differ'):
        run_tool(*tool(run))


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (MemoryError(), r'does not suffice for rex\.jpg'),
        (RuntimeError("Kernel size can't be greater than actual input size"), 'rex.jpg: too small'),
    ],
)
def test_errors_of_a_network_name_the_picture(error, words):
    with pytest.raises(PictureError, match=words), naming([Picture('rex', 'rex.jpg')]):
        raise error


def test_errors_of_a_network_in_a_loop_name_the_picture():
    class Network(BaseModel):
        def forward(self, inputs, data_samples, mode):
            return torch.nn.functional.conv2d(inputs[0], torch.ones(1, 3, 8, 8))

    sample = SegDataSample(metainfo=dict(img_path='im/rex.jpg'))
    data = [dict(inputs=torch.zeros(3, 4, 4), data_samples=sample)]
    runner = SimpleNamespace(model=Network(), call_hook=lambda *args, **options: None)
    loop = object.__new__(ValLoop)
    vars(loop).update(_runner=runner, fp16=False)
    with pytest.raises(RuntimeError) as caught:
        loop.run_iter(0, pseudo_collate(data))
    assert user_sentence(caught.value).startswith('im/rex.jpg: too small for the network')


# configs


@MODELS.register_module()
class _Part:
    def __init__(self, width=1):
        if width < 1:
            raise ValueError('_Part: width must be positive.')


@pytest.mark.parametrize(
    ('cfg', 'words'),
    [
        (dict(type='_Part', no_width=1), 'no_width'),
        (dict(type='_Part', width=0), 'width must be positive'),
        (dict(type='_Prat'), '_Prat is not in'),
    ],
)
def test_what_a_config_cannot_build_is_a_sentence(cfg, words):
    with pytest.raises(Exception, match=words) as info:
        MODELS.build(cfg)
    sentence = user_sentence(info.value)
    assert sentence.startswith('The config cannot be used') and words in sentence


def test_the_same_error_elsewhere_is_none_of_a_config():
    with pytest.raises(TypeError) as info:
        _Part(no_width=1)
    assert user_sentence(info.value) is None


# checkpoints

WEIGHTS = {'conv.weight': torch.ones(2), 'bn.num_batches_tracked': torch.tensor(1)}
CONTENTS = {
    'list': ([1, 2], 'holds a list'),
    'tensor': (torch.ones(2), 'holds a Tensor'),
    'none': (dict(state_dict=None), 'holds a NoneType'),
    'nested': (dict(model=dict(WEIGHTS)), 'holds a dict of model'),
    'nan': (dict(WEIGHTS, b=torch.tensor([1.0, float('nan')])), 'NaN or infinity in b'),
    'inf': (dict(state_dict=dict(b=torch.tensor(float('inf')))), 'NaN or infinity in b'),
}


@pytest.mark.parametrize('case', CONTENTS)
def test_checkpoints_that_hold_no_weights_are_refused(tmp_path, case):
    content, words = CONTENTS[case]
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=rf'a\.pth .*{words}'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))


# decoders


def png(tmp_path, image, **options):
    image.save(tmp_path / 'a.png', **options)
    return (tmp_path / 'a.png').read_bytes()


def test_the_limit_of_pixels_is_named(tmp_path, monkeypatch):
    content = png(tmp_path, Image.new('L', (20, 20)))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    with pytest.raises(ImageFileError, match=r'a\.png has more pixels than Pillow decodes, 200'):
        decode_image(content, 'a.png')
    with pytest.raises(MaskError, match=r'a\.png has more pixels than Pillow decodes, 200'):
        read_mask(tmp_path / 'a.png', None)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 300)  # where Pillow only warns
    assert read_mask(tmp_path / 'a.png', None)[0].shape == (20, 20)


def test_the_limit_of_texts_is_named(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_itxt('x', 'y' * 5_000_000, zip=True)
    content = png(tmp_path, Image.new('L', (20, 20)), pnginfo=info)
    for error, call in (
        (ImageFileError, lambda: decode_image(content, 'a.png')),
        (MaskError, lambda: read_mask(tmp_path / 'a.png', None)),
    ):
        with pytest.raises(error, match='MAX_TEXT_CHUNK'):
            call()


def test_want_of_memory_is_no_fault_of_the_file(tmp_path, monkeypatch):
    content = png(tmp_path, Image.new('L', (20, 20)))
    monkeypatch.setattr(Image.Image, 'convert', lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        decode_image(content, 'a.png')


def test_colour_spaces_are_named(tmp_path):
    Image.new('RGB', (4, 4)).convert('LAB').save(tmp_path / 'a.tif')
    with pytest.raises(ImageFileError, match=r'mode LAB, but must be greyscale.*save it as RGB'):
        decode_image((tmp_path / 'a.tif').read_bytes(), 'a.tif')


@pytest.mark.parametrize('bits', [1, 2, 4])
@pytest.mark.parametrize('palette', [False, True])
def test_masks_of_few_bits_hold_what_was_written(tmp_path, bits, palette):
    values = np.arange(2**bits, dtype=np.uint8)[None]
    if palette:
        image = Image.fromarray(values)
        image.putpalette([i for i in range(256) for _ in range(3)])
        image.save(tmp_path / 'a.png', bits=bits)
    else:
        # OpenCV and Pillow write greyscale of 8 bits alone: by hand
        (tmp_path / 'a.png').write_bytes(grey_png(values[0], bits))
    assert read_mask(tmp_path / 'a.png', 2**bits)[1] == values[0].tolist()


def grey_png(values, bits):
    """Return a greyscale PNG file of one row."""
    import struct
    import zlib

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    digits = ''.join(f'{value:0{bits}b}' for value in values)
    row = bytes(int(digits[i : i + 8].ljust(8, '0'), 2) for i in range(0, len(digits), 8))
    header = struct.pack('>IIBBBBB', len(values), 1, bits, 0, 0, 0, 0)
    data = chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'\0' + row)) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + data


# encoders and names


@pytest.mark.parametrize('shape', [(2, 70000), (70000, 2)])
def test_pictures_that_are_too_long_for_jpeg_are_made_smaller(shape):
    data = np.frombuffer(encode_picture(np.zeros((*shape, 3), np.uint8)), np.uint8)
    assert max(cv2.imdecode(data, cv2.IMREAD_COLOR).shape) == 65500


def test_many_heat_maps_of_a_wide_picture_make_rows():
    image = np.zeros((8, 30000, 3), np.uint8)
    painted = paint_cams(image, np.arange(3), np.zeros((3, 8, 30000)), ['', 'a', 'b', 'c'])
    assert painted.shape == (16, 60000, 3)


@pytest.mark.parametrize('length', [100, 251])
def test_names_may_be_as_long_as_the_system_allows(tmp_path, length):
    for letter in 'ab':
        with atomic_write(tmp_path / f'{letter * length}.png') as file:
            assert len(os.listdir(tmp_path)) == 1 + 'ab'.index(letter)
            file.write(b'x')
    assert len(os.listdir(tmp_path)) == 2


# platforms

WITHOUT_POSIX = """
import os, select, signal, sys
for name in ('fcntl', 'resource', 'pwd', 'grp', 'termios'):
    sys.modules[name] = None
for name in ('killpg', 'setsid', 'pread', 'pwrite', 'fork'):
    vars(os).pop(name, None)
vars(select).pop('poll', None)
"""


def run_without_posix(code, *words):
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(
        [sys.executable, '-c', WITHOUT_POSIX + code, *map(str, words)],
        capture_output=True,
        text=True,
        env=env,
    )


def test_the_package_imports_without_posix():
    code = 'import mmwsss.apis, mmwsss.pipeline, mmwsss.visualization\n'
    found = run_without_posix(code)
    assert found.returncode == 0, found.stderr


def test_pipelines_say_that_they_need_posix():
    code = 'import runpy\nsys.argv[:1] = []\nrunpy.run_path(sys.argv[0], run_name="__main__")\n'
    found = run_without_posix(code, ROOT / 'tools/run_pipeline.py', 'config.py')
    assert found.returncode == 2, found.stderr
    assert 'Pipelines need Linux or macOS' in found.stderr and 'Traceback' not in found.stderr


# broken entries


def test_the_list_of_what_was_left_out(capsys):
    from mmwsss.cli.broken_entries import end_with

    end_with([], 'pictures')
    with pytest.raises(SystemExit, match='1'):
        end_with(['a.jpg is truncated: fetch it.'], 'pictures')
    assert capsys.readouterr().out == '1 pictures left out:\n  a.jpg is truncated: fetch it.\n'


def test_image_labels_without_broken_entries(tmp_path, capsys):
    tool = load_file('tools/dataset_converters/make_image_labels.py')
    (tmp_path / 'a.csv').write_text('image,labels\na.jpg,dog\nb.jpg,dgo\nc.jpg,\n')
    words = [tmp_path / 'a.csv', tmp_path / 'o.csv', '--classes', 'dog', '--skip-broken']
    with pytest.raises(SystemExit, match='1'):
        tool.main(tool.make_parser().parse_args([str(word) for word in words]))
    assert 'dgo' in capsys.readouterr().out
    assert (tmp_path / 'o.csv').read_text().splitlines()[1] == 'a,dog'
