"""make_affinity_labels.py: the labels, resuming, processes, messages."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmwsss.cli.launch import run_tool
from mmwsss.datasets import read_mask
from mmwsss.datasets.affinity_files import read_affinity_scores
from mmwsss.datasets.image_names import ImageNameError
from mmwsss.errors import UsageError
from mmwsss.evaluation import write_cam_file
from mmwsss.models.refiners import DenseCRF
from tests.cam_folder import CLASSES, HARMS, contents, copy_cam_folder, draw_cam_folder

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference'
STYLES = dict(psa='.npz', irn='.png')


@pytest.fixture(scope='module')
def tool():
    name = 'make_affinity_labels'
    spec = importlib.util.spec_from_file_location(name, ROOT / f'tools/{name}.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where other processes look for its functions
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return draw_cam_folder(tmp_path_factory.mktemp('make_affinity_labels'))


def arguments(folder, out_dir, style, *options, cams='cams', images='images'):
    out = ['--images', folder / images, '--out-dir', out_dir, '--style', style, '--workers', '1']
    return [str(word) for word in (folder / cams, *out, *options)]


def run(tool, *args, **changes):
    tool.make_affinity_labels(tool.make_parser().parse_args(arguments(*args, **changes)))


@pytest.fixture(scope='module')
def made(tool, folder):
    """Files of one run for each style."""
    found = {}
    for style in STYLES:
        run(tool, folder, folder / style, style)
        found[style] = contents(folder / style)
    return found


@pytest.mark.parametrize('style', STYLES)
def test_every_image_has_a_file(made, style):
    assert set(made[style]) == {name + STYLES[style] for name in CLASSES}


@pytest.mark.parametrize(('i', 'name'), list(enumerate(CLASSES)))
def test_scores_are_those_of_the_image(folder, made, i, name):
    keys, low, high = read_affinity_scores(folder / f'psa/{name}.npz', num_classes=3)
    assert keys.tolist() == CLASSES[name]
    assert low.shape == high.shape == (len(keys) + 1, 24 + i, 31)
    sums = np.stack([low, high]).sum(1, dtype=int)
    assert abs(sums - 255).max() <= 1
    # the favoured background has more
    assert len(keys) == 0 or low[0].sum() > high[0].sum()


@pytest.mark.parametrize('name', CLASSES)
def test_label_has_the_classes_at_their_places(folder, made, name):
    label, values = read_mask(folder / f'irn/{name}.png', 3)
    assert set(values) <= {0, 255, *(key + 1 for key in CLASSES[name])}
    assert label[0, 0] == 0
    for k, key in enumerate(CLASSES[name]):
        assert (label[8:14, 6 + 14 * k : 10 + 14 * k] == key + 1).all()


def test_scores_agree_with_the_published_code(tool):
    with np.load(REFERENCE / 'seam/seam_cam.npz') as data:
        image = torch.from_numpy(data['image'].transpose(2, 0, 1).copy())
        cams = torch.from_numpy(data['norm_cam'])
        expected = data['crf_4'], data['crf_24']
        keys, *found = tool.psa_scores(image, data['classes'], cams, DenseCRF(), (4, 24))
    for levels, probs in zip(found, expected, strict=True):
        np.testing.assert_allclose(levels / 255, probs, rtol=0, atol=0.5 / 255 + 1e-3)


@pytest.mark.parametrize(
    ('name', 'scores'), [('affinity_label', (0.11, 0.15)), ('affinity_label_alt', (0.3, 0.05))]
)
def test_labels_agree_with_the_published_code(tool, name, scores):
    with np.load(REFERENCE / 'semformer/crf.npz') as data:
        image = torch.from_numpy(data['image'].transpose(2, 0, 1).copy())
        cams, keys = torch.from_numpy(data['cams']), data['keys'][1:] - 1
        crf = DenseCRF(bilateral=tool.IRN_BILATERAL)
        found = tool.irn_label(image, keys, cams, crf, scores)
        assert (found != data[name]).mean() <= 0.003


def test_background_can_be_chosen(tool, folder, made, tmp_path):
    run(tool, folder, tmp_path, 'irn', '--background', '0.95', '0.95')
    label = read_mask(tmp_path / 'a.png', 3)[0]
    assert not label.any()


@pytest.mark.parametrize('style', STYLES)
def test_two_processes_write_the_files_of_one(tool, folder, made, tmp_path, style):
    run(tool, folder, tmp_path, style, '--workers', '2')
    assert contents(tmp_path) == made[style]


def test_stopped_run_goes_on(tool, folder, made, tmp_path, monkeypatch, capsys):
    """It fails while it writes the third file."""
    savez, calls = np.savez_compressed, []

    def fail(file, **arrays):
        savez(file, **arrays)
        calls.append(file)
        if len(calls) == 3:
            raise OSError('No space left on device')

    monkeypatch.setattr(np, 'savez_compressed', fail)
    with pytest.raises(UsageError, match='No space left'):
        run(tool, folder, tmp_path, 'psa')
    assert contents(tmp_path) == {name: made['psa'][name] for name in ('a.npz', 'b.npz')}
    (tmp_path / 'a.npz').write_bytes(b'finished')
    run(tool, folder, tmp_path, 'psa')
    assert contents(tmp_path) == {**made['psa'], 'a.npz': b'finished'}
    note = f'2 files written to {tmp_path}, 2 were there already (--overwrite makes them again).'
    assert note in capsys.readouterr().out
    run(tool, folder, tmp_path, 'psa', '--overwrite')
    assert contents(tmp_path) == made['psa']


@pytest.fixture
def damaged(folder, tmp_path):
    """Return a copy of images and maps to do harm to."""
    return copy_cam_folder(folder, tmp_path)


@pytest.mark.parametrize(
    ('harm', 'message'),
    [
        *HARMS,
        (
            lambda f: shutil.copy(f / 'images/a.png', f / 'images/more/a.jpg'),
            r'a\.png and more/a\.jpg both belong to the image a: keep one',
        ),
        (
            lambda f: write_cam_file(f / 'cams/a.npz', [5], np.zeros((1, 24, 31))),
            r'a\.npz: keys \[5\] must lie in 0 to 1',
        ),
    ],
)
@pytest.mark.parametrize('workers', ['1', '2'])
def test_wrong_files_are_named(tool, damaged, harm, message, workers):
    harm(damaged)
    options = ('--num-classes', '3', '--workers', workers)
    with pytest.raises((UsageError, ImageNameError), match=message):
        run(tool, damaged, damaged / 'out', 'irn', *options)
    # what was written is whole
    out = damaged / 'out'
    for path in out.iterdir() if out.is_dir() else ():
        read_mask(path, 3)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(cams='images'), r'images holds no maps \(\.npz\): make them with tools/make_cams'),
        (dict(cams='out'), r'--out-dir .*out is the folder of the maps; choose another one'),
        (dict(images='absent'), 'absent: there is no such folder'),
    ],
)
def test_wrong_calls_end_with_a_sentence(tool, folder, capsys, changes, message):
    words = arguments(folder, folder / 'out', 'psa', **changes)
    with pytest.raises(SystemExit, match='2'):
        run_tool(tool.make_parser(), tool.make_affinity_labels, words)
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert re.search(message, error)


def test_number_of_processes_is_positive(tool, folder):
    with pytest.raises(UsageError, match='--workers must be at least 1, got 0'):
        run(tool, folder, folder / 'out', 'psa', '--workers', '0')
