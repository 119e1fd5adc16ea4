"""make_pseudo_masks.py: the masks, resuming, killing, processes, messages."""

import errno
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmwsss.cli.launch import run_tool
from mmwsss.datasets import read_mask, voc_palette
from mmwsss.errors import UsageError
from mmwsss.evaluation import write_cam_file
from mmwsss.models.refiners import DenseCRF
from tests.cam_folder import CLASSES, HARMS, contents, copy_cam_folder, draw_cam_folder

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference'


@pytest.fixture(scope='module')
def tool():
    with pytest.MonkeyPatch.context() as patch:
        # what Python does with the folder of a script
        patch.syspath_prepend(ROOT / 'tools')
        module = importlib.import_module('make_pseudo_masks')
        yield module
    for name in ('make_pseudo_masks', 'make_affinity_labels'):
        sys.modules.pop(name, None)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return draw_cam_folder(tmp_path_factory.mktemp('make_pseudo_masks'))


def arguments(folder, out_dir, *options, cams='cams', images='images'):
    words = [folder / cams, '--images', folder / images, '--out-dir', out_dir, '--workers', '1']
    return [str(word) for word in (*words, *options)]


def run(tool, *args, **changes):
    tool.make_pseudo_masks(tool.make_parser().parse_args(arguments(*args, **changes)))


@pytest.fixture(scope='module')
def made(tool, folder):
    """Masks of one run."""
    run(tool, folder, folder / 'made', '--crf')
    return contents(folder / 'made')


def test_every_image_has_a_mask(made):
    assert set(made) == {f'{name}.png' for name in CLASSES}


@pytest.mark.parametrize(('i', 'name'), list(enumerate(CLASSES)))
def test_mask_has_the_classes_at_their_places(folder, made, i, name):
    mask, values = read_mask(folder / f'made/{name}.png', 3)
    assert mask.shape == (24 + i, 31)
    assert set(values) == {0, *(key + 1 for key in CLASSES[name])}
    for k, key in enumerate(CLASSES[name]):
        assert (mask[8:13, 6 + 14 * k : 10 + 14 * k] == key + 1).all()


def test_masks_have_the_colours_of_voc(folder, made):
    with Image.open(folder / 'made/a.png') as image:
        assert image.mode == 'P'
        colors = np.reshape(image.getpalette(), (-1, 3))
    assert colors.tolist() == voc_palette(256)


def test_classes_of_emblems(tool, folder, tmp_path):
    palette = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    description = dict(drawing=1, settings={}, classes=['background', 'x', 'y'], palette=palette)
    (tmp_path / 'emblems.json').write_text(json.dumps({**description, 'complete': True}))
    run(tool, folder, tmp_path / 'out', '--data-root', str(tmp_path))
    with Image.open(tmp_path / 'out/a.png') as image:
        colors = np.reshape(image.getpalette(), (-1, 3))
    assert colors[[0, 1, 2, 255]].tolist() == [*palette, voc_palette(256)[255]]


# against the published code


@pytest.fixture(scope='module')
def published():
    with np.load(REFERENCE / 'semformer/crf.npz') as file:
        data = dict(file)
    image = torch.from_numpy(data['image'].transpose(2, 0, 1).copy())
    return data, (image, data['keys'][1:] - 1, torch.from_numpy(data['cams']))


def test_labels_before_the_crf_are_the_published(tool, published):
    data, arguments = published
    mask = tool.pseudo_mask(*arguments, bg_scores=[0.25])
    assert (mask == data['keys'][data['pseudo_label_in']]).all()


def test_masks_agree_with_the_published_code(tool, published):
    data, arguments = published
    settings = dict(tool.CRF['labels'])
    gt_prob = settings.pop('gt_prob')
    crf = DenseCRF(**settings)
    mask = tool.pseudo_mask(*arguments, bg_scores=[0.25], crf=crf, gt_prob=gt_prob)
    assert (mask != data['pseudo_label']).mean() <= 0.003
    assert (mask != data['keys'][data['pseudo_label_crf']]).mean() <= 0.003
    assert (mask != data['keys'][data['pseudo_label_in']]).mean() > 0.01


def test_crf_of_scores_agrees_with_the_published_code(tool, published):
    data, arguments = published
    crf = DenseCRF(**tool.CRF['probs'])
    mask = tool.pseudo_mask(*arguments, bg_scores=[dict(alpha=4)], crf=crf)
    assert (mask != data['keys'][data['crf_alpha4'].argmax(0)]).mean() <= 0.003


def test_undecided_pixels_agree_with_the_published_code(tool, published):
    """With IRN's constants and ten iterations it is the rule of its affinity labels."""
    data, arguments = published
    settings = {k: v for k, v in tool.CRF['labels'].items() if k != 'gt_prob'}
    crf = DenseCRF(**{**settings, 'num_iters': 10})
    mask = tool.pseudo_mask(*arguments, bg_scores=[0.05, 0.3], crf=crf, gt_prob=0.7)
    assert (mask == 255).any()
    assert (mask != data['affinity_label_alt']).mean() <= 0.003


# what the options do


def test_background_score(tool, folder, tmp_path):
    run(tool, folder, tmp_path, '--bg-score', '0.95')
    assert not read_mask(tmp_path / 'a.png', 3)[0].any()


def test_maps_choose_the_background_score_all_together(tool, folder, tmp_path, capsys):
    run(tool, folder, tmp_path / 'all', '--bg-score', 'multi-otsu')
    chosen = re.search(r'Background score ([\d.]+) \(multi-otsu', capsys.readouterr().out)[1]
    run(tool, folder, tmp_path / 'named', '--bg-score', chosen)
    assert contents(tmp_path / 'all') == contents(tmp_path / 'named')
    # a share of the masks is one of all
    run(tool, folder, tmp_path / 'share', '--bg-score', 'multi-otsu', '--share', '1', '2')
    assert contents(tmp_path / 'share').items() <= contents(tmp_path / 'all').items()


def test_background_exponent(tool, folder, tmp_path):
    run(tool, folder, tmp_path, '--bg-alpha', '2')
    with np.load(folder / 'cams/a.npz') as file:
        cam = file['cams'][0].astype(np.float32)
    assert (read_mask(tmp_path / 'a.png', 3)[0] == (cam > (1 - cam) ** 2)).all()


def test_pixels_between_two_scores_are_undecided(tool, folder, tmp_path):
    run(tool, folder, tmp_path, '--ignore', '0.2', '0.6')
    with np.load(folder / 'cams/a.npz') as file:
        cam = file['cams'][0].astype(np.float32)
    expected = np.where(cam > 0.6, 1, np.where(cam > 0.2, 255, 0))
    assert (read_mask(tmp_path / 'a.png', 3)[0] == expected).all()
    assert {1, 255, 0} == set(expected.ravel().tolist())


@pytest.mark.parametrize(
    ('words', 'kind', 'changes'),
    [
        (['--crf'], 'labels', {}),
        (['--crf', 'probs'], 'probs', {}),
        (['--crf-config', 'num_iters=4', 'gt_prob=0.9'], 'labels', dict(num_iters=4, gt_prob=0.9)),
        (
            ['--crf', 'probs', '--crf-config', 'bilateral.sxy=20'],
            'probs',
            dict(bilateral=dict(sxy=20, srgb=13, weight=10)),
        ),
    ],
)
def test_settings_of_the_crf(tool, words, kind, changes):
    args = tool.make_parser().parse_args(['x', '--images', 'x', '--out-dir', 'x', *words])
    assert tool.crf_settings(args.crf, args.crf_config) == {**tool.CRF[kind], **changes}


def test_without_a_crf(tool):
    args = tool.make_parser().parse_args(['x', '--images', 'x', '--out-dir', 'x'])
    assert tool.crf_settings(args.crf, args.crf_config) is None


# processes, resuming


def test_two_processes_write_the_files_of_one(tool, folder, made, tmp_path):
    run(tool, folder, tmp_path, '--crf', '--workers', '2')
    assert contents(tmp_path) == made


def test_shares_together_are_the_files_of_one(tool, folder, made, tmp_path):
    for share in '012':
        run(tool, folder, tmp_path / share, '--crf', '--share', share, '3')
    shares = [contents(tmp_path / share) for share in '012']
    assert [len(share) for share in shares] == [2, 1, 1]
    assert {**shares[0], **shares[1], **shares[2]} == made


KILL = """
import os, runpy, signal, sys
from PIL import Image
save, calls = Image.Image.save, []

def half(self, file, **kwargs):
    save(self, file, **kwargs)
    calls.append(file)
    if len(calls) == 3:
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

Image.Image.save = half
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def test_killed_run_goes_on(tool, folder, made, tmp_path):
    """Killed while it writes the third mask."""
    words = [str(ROOT / 'tools/make_pseudo_masks.py'), *arguments(folder, tmp_path, '--crf')]
    process = subprocess.run(
        [sys.executable, '-c', KILL, *words],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    left = contents(tmp_path)
    # two masks, and the hidden rest of the third
    assert len(left) == 3
    assert {name: left.get(name) for name in ('a.png', 'b.png')} == {
        name: made[name] for name in ('a.png', 'b.png')
    }
    run(tool, folder, tmp_path, '--crf')
    assert contents(tmp_path) == made


def test_finished_masks_are_left_alone(tool, folder, made, tmp_path, capsys):
    (tmp_path / 'a.png').write_bytes(b'finished')
    run(tool, folder, tmp_path, '--crf')
    assert contents(tmp_path) == {**made, 'a.png': b'finished'}
    note = f'3 files written to {tmp_path}, 1 were there already (--overwrite makes them again).'
    assert note in capsys.readouterr().out
    run(tool, folder, tmp_path, '--crf', '--overwrite')
    assert contents(tmp_path) == made


def test_full_disk(tool, folder, made, tmp_path, monkeypatch):
    """It fills up while the third mask is written."""
    save, calls = Image.Image.save, []

    def fail(self, file, **kwargs):
        save(self, file, **kwargs)
        calls.append(file)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, 'save', fail)
    message = r'c\.png cannot be written \(No space left on device\): make room'
    with pytest.raises(UsageError, match=message):
        run(tool, folder, tmp_path, '--crf')
    assert contents(tmp_path) == {name: made[name] for name in ('a.png', 'b.png')}
    run(tool, folder, tmp_path, '--crf')
    assert contents(tmp_path) == made


# what is wrong


@pytest.fixture
def damaged(folder, tmp_path):
    """Return a copy of images and maps to do harm to."""
    return copy_cam_folder(folder, tmp_path)


@pytest.mark.parametrize(
    ('harm', 'message'),
    [
        *HARMS,
        (
            lambda f: write_cam_file(f / 'cams/a.npz', [20], np.zeros((1, 24, 31))),
            r'a\.npz: keys \[20\] must lie in 0 to 19, for the 20 foreground classes',
        ),
    ],
)
@pytest.mark.parametrize('workers', ['1', '2'])
def test_wrong_files_are_named(tool, damaged, harm, message, workers):
    harm(damaged)
    with pytest.raises(UsageError, match=message):
        run(tool, damaged, damaged / 'out', '--workers', workers)
    # what was written is whole
    out = damaged / 'out'
    for path in out.iterdir() if out.is_dir() else ():
        read_mask(path, 3)


def test_killed_process_ends_with_a_sentence(tool, folder, tmp_path, monkeypatch):
    parent = os.getpid()

    def die(*args, **kwargs):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(tool, 'pseudo_mask', die)
    with pytest.raises(UsageError, match='A process was killed.*fewer --workers'):
        run(tool, folder, tmp_path, '--workers', '2')


@pytest.mark.parametrize(
    ('words', 'changes', 'message'),
    [
        (
            [],
            dict(cams='images'),
            r'images holds no maps \(\.npz\): make them with tools/make_cams',
        ),
        ([], dict(cams='out'), r'--out-dir .*out is the folder of the maps; choose another one'),
        ([], dict(images='absent'), 'absent: there is no such folder'),
        (['--out-dir', 'FILE/out'], {}, r'--out-dir .*a\.npz/out cannot be written \('),
        (['--out-dir', 'FILE'], {}, r'--out-dir .*a\.npz cannot be written \(File exists\)'),
        (['--workers', '0'], {}, '--workers must be at least 1, got 0'),
        (['--share', '2', '2'], {}, '--share takes I N with I in 0 to N - 1, got 2 2'),
        (['--bg-score', '1.5'], {}, "argument --bg-score: '1.5' where a number, 0 to 1"),
        (['--bg-score', 'nan'], {}, "argument --bg-score: 'nan' where a number, 0 to 1"),
        (['--bg-alpha', '0'], {}, 'bg_alpha must be positive, got 0'),
        (['--ignore', '0.4', '0.3'], {}, 'ignore takes LOW < HIGH, both in 0 to 1, got 0.4 0.3'),
        (['--crf-config', 'iters=4'], {}, 'crf_config has no iters with crf labels; it has'),
        (
            ['--crf', 'probs', '--crf-config', 'gt_prob=.7'],
            {},
            'crf_config has no gt_prob with crf probs',
        ),
        (['--crf-config', 'num_iters=0'], {}, 'num_iters must be at least 1, got 0'),
        (['--crf-config', 'bilateral.sx=4'], {}, 'bilateral must be None or a dict of positive'),
        (['--crf-config', 'gt_prob=1'], {}, 'gt_prob must lie between'),
        (['--crf-config', 'gt_prob=x'], {}, "could not convert string to float: 'x'"),
        (['--classes', 'dog', 'dog'], {}, 'at least one class beside the background'),
    ],
)
def test_wrong_calls_end_with_a_sentence(tool, folder, capsys, words, changes, message):
    words = [word.replace('FILE', str(folder / 'cams/a.npz')) for word in words]
    with pytest.raises(SystemExit, match='2'):
        words = arguments(folder, folder / 'out', *words, **changes)
        run_tool(tool.make_parser(), tool.make_pseudo_masks, words)
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert re.search(message, error)


def test_folder_without_permission(tool, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda *args: False)
    with pytest.raises(UsageError, match=r'cannot be written \(no permission\); choose another'):
        run(tool, folder, tmp_path)
