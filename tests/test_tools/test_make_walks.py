"""make_walks.py: the files, resuming, killing, processes, messages."""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import sys
import traceback
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmwsss.cli.launch import run_tool
from mmwsss.datasets import ImageLevelFolderDataset
from mmwsss.errors import UsageError
from mmwsss.evaluation import read_cam_file, write_cam_file
from tests.loading import load_file

pytestmark = pytest.mark.stack
TAGS = {'a': ['cat'], 'b': ['dog', 'cat'], 'c': [], 'd': ['dog'], 'e': ['cat']}
CLASSES = ('background', 'cat', 'dog')
BACKBONE = dict(type='ResNet38d', width=1 / 16, depths=(1, 1, 1, 1, 1, 1))
PREPROCESSOR = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
MODELS_AND_WALKS = dict(
    affinitynet=(
        dict(
            type='AffinityNet',
            data_preprocessor=dict(PREPROCESSOR, test_cfg=dict(size_divisor=8)),
            backbone=BACKBONE,
            in_channels=(32, 64, 256),
            embed_channels=(4, 4, 4),
        ),
        dict(type='CAMWalk', stride=8, bg_alpha=6, beta=8, num_steps=16),
    ),
    irn=(
        dict(
            type='IRNBoundary',
            data_preprocessor=dict(PREPROCESSOR, pad_after_norm=True, test_cfg=dict(size=(40, 40))),
            backbone=BACKBONE,
            in_channels=(16, 32, 64, 256),
            scale_factors=(1, 2, 2, 2),
            embed_channels=8,
        ),
        dict(type='CAMWalk', stride=4, beta=10, num_steps=16, affinity='boundary'),
    ),
)
METHODS = list(MODELS_AND_WALKS)
RUNS = itertools.count()


@pytest.fixture(scope='module')
def tool():
    return load_file('tools/make_walks.py')


def write_config(root, name):
    """Write the config and the weights of a method."""
    model, walk = MODELS_AND_WALKS[name]
    load, pack = dict(type='LoadImageChecked'), dict(type='PackWeakInputs')
    dataset = dict(
        type='ImageLevelFolderDataset',
        data_root=str(root),
        ann_file='all.txt',
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        image_labels='labels.json',
        metainfo=dict(classes=CLASSES, palette=[[0] * 3, [9] * 3, [99] * 3]),
        # there are no masks to load
        pipeline=[load, dict(type='LoadMaskChecked'), pack],
    )
    cfg = Config(
        dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['mmwsss'], allow_failed_imports=False),
            work_dir=str(root / 'logs'),
            model=model,
            walk=walk,
            test_dataloader=dict(
                batch_size=2,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dataset,
            ),
            test_cfg=dict(type='TestLoop'),
            test_evaluator=[],
        )
    )
    cfg.dump(root / f'{name}.py')
    init_default_scope('mmseg')
    torch.manual_seed(0)
    built = MODELS.build(model)
    built.init_weights()
    # untrained features hardly differ: every walk would end in one value
    built.project.weight.data *= 30
    torch.save(built.state_dict(), root / f'{name}.pth')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Five images without masks, their maps, and both methods."""
    root = tmp_path_factory.mktemp('make_walks')
    rng = np.random.default_rng(0)
    (root / 'images').mkdir()
    for i, (name, tags) in enumerate(TAGS.items()):
        image = rng.integers(0, 256, (24 + 3 * i, 31, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'images/{name}.png'), image)
        keys = sorted(CLASSES.index(tag) - 1 for tag in tags)
        cams = rng.random((len(keys), *image.shape[:2]), dtype=np.float32)
        write_cam_file(root / f'cams/{name}.npz', keys, cams)
    labels = {f'{name}.png': tags for name, tags in TAGS.items()}
    (root / 'labels.json').write_text(json.dumps(labels))
    (root / 'all.txt').write_text('\n'.join(TAGS))
    (root / 'two.txt').write_text('b\nd')
    for name in METHODS:
        write_config(root, name)
    return root


def arguments(folder, out_dir, *options, method='affinitynet', cams=None):
    words = [folder / f'{method}.py', folder / f'{method}.pth', '--out-dir', out_dir]
    words += ['--cams', cams or folder / 'cams', *options]
    # MMEngine names a run by the second it started in
    words += ['--cfg-options', f'experiment_name=run{next(RUNS)}']
    return [str(word) for word in words]


def run(tool, *args, **changes):
    tool.make_walks(tool.make_parser().parse_args(arguments(*args, **changes)))


def contents(out_dir):
    return {path.name: path.read_bytes() for path in out_dir.iterdir()}


@pytest.fixture(scope='module')
def made(tool, folder):
    """Files of one run of each method in one process."""
    found = {}
    for method in METHODS:
        run(tool, folder, folder / f'made_{method}', method=method)
        found[method] = contents(folder / f'made_{method}')
    return found


@pytest.mark.parametrize('method', METHODS)
def test_every_image_has_a_file(made, method):
    assert set(made[method]) == {f'{name}.npz' for name in TAGS}


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('i', range(len(TAGS)))
def test_file_holds_the_classes_of_the_maps(folder, made, method, i):
    name, tags = list(TAGS.items())[i]
    keys, walks = read_cam_file(folder / f'made_{method}/{name}.npz', num_classes=3)
    assert keys.tolist() == sorted(CLASSES.index(tag) - 1 for tag in tags)
    assert walks.shape == (len(tags), 24 + 3 * i, 31)
    assert walks.dtype == np.float16
    assert not tags or 0 <= walks.min() < walks.max() <= 1


@pytest.mark.parametrize('method', METHODS)
def test_walks_are_those_of_the_model(folder, made, method):
    config, walk = MODELS_AND_WALKS[method]
    model = MODELS.build(config).eval()
    model.load_state_dict(torch.load(folder / f'{method}.pth', weights_only=True))
    steps = Compose([dict(type='LoadImageChecked'), dict(type='PackWeakInputs')])
    with torch.no_grad():
        batch = pseudo_collate([steps(dict(img_path=str(folder / 'images/b.png')))])
        sample = model.test_step(batch)[0]
    walk = MODELS.build(walk)
    cams = torch.from_numpy(read_cam_file(folder / 'cams/b.npz')[1])
    expected = walk(None, cams[None], sample.get(walk.guide_key).data[None])[0]
    walks = read_cam_file(folder / f'made_{method}/b.npz')[1]
    np.testing.assert_allclose(walks, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(walks - cams.numpy()).mean() > 0.05


def test_finished_files_are_left_alone(tool, folder, made, tmp_path, monkeypatch):
    for name in ('a.npz', 'd.npz'):
        (tmp_path / name).write_bytes(b'finished')
    loaded = []
    prepare = ImageLevelFolderDataset.prepare_data

    def spy(self, index):
        loaded.append(Path(self.get_data_info(index)['img_path']).stem)
        return prepare(self, index)

    monkeypatch.setattr(ImageLevelFolderDataset, 'prepare_data', spy)
    run(tool, folder, tmp_path)
    assert loaded == ['b', 'c', 'e']
    expected = {**made['affinitynet'], 'a.npz': b'finished', 'd.npz': b'finished'}
    assert contents(tmp_path) == expected
    run(tool, folder, tmp_path, '--overwrite')
    assert contents(tmp_path) == made['affinitynet']


def test_split(tool, folder, made, tmp_path):
    run(tool, folder, tmp_path, '--split', 'two')
    assert contents(tmp_path) == {n: made['affinitynet'][n] for n in ('b.npz', 'd.npz')}


def test_maps_of_the_split_suffice(tool, folder, made, tmp_path):
    for name in 'bd':
        (tmp_path / 'cams').mkdir(exist_ok=True)
        shutil.copy(folder / f'cams/{name}.npz', tmp_path / 'cams')
    run(tool, folder, tmp_path / 'out', '--split', 'two', cams=tmp_path / 'cams')
    assert set(contents(tmp_path / 'out')) == {'b.npz', 'd.npz'}


def test_single_precision(tool, folder, made, tmp_path):
    run(tool, folder, tmp_path, '--split', 'two', '--dtype', 'float32')
    walks = read_cam_file(tmp_path / 'b.npz')[1]
    assert walks.dtype == np.float32
    half = read_cam_file(folder / 'made_affinitynet/b.npz')[1]
    assert (walks.astype(np.float16) == half).all()


def test_mixed_precision_is_close(tool, folder, made, tmp_path):
    run(tool, folder, tmp_path, '--amp', '--split', 'two')
    difference = np.abs(
        read_cam_file(tmp_path / 'b.npz')[1].astype(np.float32)
        - read_cam_file(folder / 'made_affinitynet/b.npz')[1]
    )
    assert 0 < difference.max() < 0.05, difference.max()


def half_of_the_third():
    """Return ``np.savez`` that is killed by its third call."""
    savez, calls = np.savez, []

    def save(file, **arrays):
        calls.append(file)
        savez(file, **arrays)
        if len(calls) == 3:
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    return save


def fork(tool, words, log, *, kill=False, **environment):
    """Run the tool in a process of its own, which has imported everything already."""
    if pid := os.fork():
        return pid
    code = 1
    sys.stdout = sys.stderr = open(log, 'w', buffering=1)
    try:
        warnings.simplefilter('default')  # as outside pytest
        os.environ.update(environment)
        if kill:
            np.savez = half_of_the_third()
        run_tool(tool.make_parser(), tool.make_walks, words)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # nothing of pytest may run here
        os._exit(code)


@pytest.fixture(scope='module')
def jobs(tool, folder):
    """A run that is killed while it writes its third file, and one of two processes."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    # what torchrun sets
    group = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2')
    killed = arguments(folder, folder / 'killed')
    both = arguments(folder, folder / 'both', '--launcher', 'pytorch')
    with warnings.catch_warnings():
        # Python 3.12 warns where a process with threads forks
        warnings.simplefilter('ignore', DeprecationWarning)
        children = [fork(tool, killed, folder / 'killed.log', kill=True)]
        for rank in '01':
            ranks = dict(group, RANK=rank, LOCAL_RANK=rank)
            children.append(fork(tool, both, folder / f'both{rank}.log', **ranks))
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]


def test_killed_run_goes_on(tool, folder, made, jobs):
    assert jobs[0] == -signal.SIGKILL, (folder / 'killed.log').read_text()
    left = contents(folder / 'killed')
    # two whole files, and the hidden rest of the third
    assert len(left) == 3
    whole = ('a.npz', 'b.npz')
    assert {n: left.get(n) for n in whole} == {n: made['affinitynet'][n] for n in whole}
    run(tool, folder, folder / 'killed')
    assert contents(folder / 'killed') == made['affinitynet']


def test_two_processes_write_the_files_of_one(folder, made, jobs):
    logs = [(folder / f'both{rank}.log').read_text() for rank in '01']
    assert jobs[1:] == [0, 0], logs
    assert contents(folder / 'both') == made['affinitynet']
    assert f'5 files written to {folder / "both"}.' in logs[0]


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ('harm', 'message', 'written'),
    [
        (lambda f: cut(f / 'b.npz'), r'b\.npz is damaged or no CAM file', 1),
        (
            lambda f: shutil.copy(f / 'a.npz', f / 'd.npz'),
            r'd\.npz: the maps are 31 x 24 where the image .*d\.png is 31 x 33: give the maps',
            3,
        ),
        (
            lambda f: write_cam_file(f / 'a.npz', [5], np.zeros((1, 24, 31))),
            r'a\.npz: keys \[5\] must lie in 0 to 1',
            0,
        ),
        (
            lambda f: (f / 'd.npz').unlink(),
            r'cams lacks the maps of 1 of 5 images \(d\): make them with tools/make_cams.py',
            0,
        ),
    ],
)
def test_wrong_maps_are_named(tool, folder, tmp_path, harm, message, written):
    cams, out = tmp_path / 'cams', tmp_path / 'out'
    shutil.copytree(folder / 'cams', cams)
    harm(cams)
    with pytest.raises(UsageError, match=message):
        run(tool, folder, out, cams=cams)
    # what was written is whole
    files = sorted(out.iterdir()) if out.is_dir() else []
    assert len(files) == written
    for path in files:
        read_cam_file(path, 3)


def test_weights_of_another_model(tool, folder, tmp_path):
    args = arguments(folder, tmp_path / 'out')
    args[1] = str(folder / 'irn.pth')
    with pytest.raises(UsageError, match=r'irn\.pth lacks 4 of the weights of the model'):
        tool.make_walks(tool.make_parser().parse_args(args))
    assert not (tmp_path / 'out').exists()


def test_walk_of_another_method(tool, folder, tmp_path):
    options = ('--split', 'two')
    words = [*arguments(folder, tmp_path, *options), 'walk.affinity=boundary']
    with pytest.raises(
        ValueError, match='has no edge: WalkWriter needs a model that predicts edge'
    ):
        tool.make_walks(tool.make_parser().parse_args(words))


@pytest.mark.parametrize(
    ('options', 'changes', 'message'),
    [
        ((), dict(cams='absent'), 'There is no folder absent; make it with tools/make_cams.py'),
        ((), dict(cams='SAME'), r'--out-dir .* is the folder of the maps; choose another one'),
        (('walk=None',), {}, r"affinitynet.py has no walk: add walk=dict\(type='CAMWalk'"),
    ],
)
def test_wrong_calls_end_with_a_sentence(tool, folder, tmp_path, capsys, options, changes, message):
    if changes.get('cams') == 'SAME':
        changes = dict(cams=tmp_path)
    words = [*arguments(folder, tmp_path, **changes), *options]
    with pytest.raises(SystemExit, match='2'):
        run_tool(tool.make_parser(), tool.make_walks, words)
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert re.search(message, error)
