"""make_cams.py: the files, resuming, killing, processes, messages."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from PIL import Image

from mmwsss.cli.model_files import unfinished
from mmwsss.datasets import ImageLevelFolderDataset
from mmwsss.errors import UsageError
from mmwsss.evaluation import read_cam_file
from tests.leftovers import forget_runs
from tests.loading import load_file

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/make_cams.py'
TAGS = {'a': ['cat'], 'b': ['dog', 'cat'], 'c': [], 'd': ['dog'], 'e': ['cat']}
MODEL = dict(
    type='WeakSegmentor',
    data_preprocessor=dict(
        type='WeakDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(type='ResNet38d', width=1 / 16, depths=(1, 1, 1, 1, 1, 1)),
    cam_head=dict(type='CAMHead', in_channels=256, num_classes=3),
)
LOAD = dict(type='LoadImageChecked')
MASK = dict(type='LoadMaskChecked')
PACK = dict(type='PackWeakInputs')
VIEWS = dict(
    type='TestTimeAug',
    transforms=[
        [dict(type='ScaleImage', scale_factor=s) for s in (0.5, 1.0)],
        [dict(type='RandomFlip', prob=p, direction='horizontal') for p in (0.0, 1.0)],
        [MASK],
        [PACK],
    ],
)


@pytest.fixture(scope='module')
def tool():
    return load_file(TOOL)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Five images without masks, a config that would load masks, and weights."""
    root = tmp_path_factory.mktemp('make_cams')
    rng = np.random.default_rng(0)
    (root / 'images').mkdir()
    for i, name in enumerate(TAGS):
        image = rng.integers(0, 256, (24 + 3 * i, 31, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'images/{name}.png'), image)
    labels = {f'{name}.png': tags for name, tags in TAGS.items()}
    (root / 'labels.json').write_text(json.dumps(labels))
    (root / 'all.txt').write_text('\n'.join(TAGS))
    (root / 'two.txt').write_text('b\nd')
    cfg = Config(
        dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['mmwsss'], allow_failed_imports=False),
            work_dir=str(root / 'logs'),
            model=MODEL,
            tta_model=dict(type='CAMTTAModel'),
            tta_pipeline=[LOAD, VIEWS],
            test_dataloader=dict(
                # a batch of several would change the maps of images of different sizes
                batch_size=2,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(
                    type='ImageLevelFolderDataset',
                    data_root=str(root),
                    ann_file='all.txt',
                    data_prefix=dict(img_path='images', seg_map_path='masks'),
                    image_labels='labels.json',
                    metainfo=dict(
                        classes=('background', 'cat', 'dog'), palette=[[0] * 3, [9] * 3, [99] * 3]
                    ),
                    pipeline=[LOAD, MASK, PACK],
                ),
            ),
            test_cfg=dict(type='TestLoop'),
            test_evaluator=dict(type='CAMMetric'),
        )
    )
    cfg.dump(root / 'config.py')
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(MODEL)
    model.init_weights()
    torch.save(model.state_dict(), root / 'weights.pth')
    return root


def arguments(folder, out_dir, *options):
    return [
        str(folder / 'config.py'),
        str(folder / 'weights.pth'),
        '--out-dir',
        str(out_dir),
        *options,
        # MMEngine names a run by the second it started in
        '--cfg-options',
        f'experiment_name={out_dir.name}',
    ]


def run(tool, folder, out_dir, *options):
    forget_runs()
    tool.make_cams(tool.make_parser().parse_args(arguments(folder, out_dir, *options)))


def contents(out_dir):
    return {path.name: path.read_bytes() for path in out_dir.iterdir()}


@pytest.fixture(scope='module')
def made(tool, folder):
    """Files of one run in one process."""
    run(tool, folder, folder / 'made')
    return contents(folder / 'made')


def test_every_image_has_a_file(made):
    assert set(made) == {f'{name}.npz' for name in TAGS}


@pytest.mark.parametrize('i', range(len(TAGS)))
def test_file_holds_the_tagged_classes_at_the_size_of_the_image(folder, made, i):
    name, tags = list(TAGS.items())[i]
    keys, cams = read_cam_file(folder / f'made/{name}.npz', num_classes=3)
    assert keys.tolist() == sorted(['cat', 'dog'].index(tag) for tag in tags)
    assert cams.shape == (len(tags), 24 + 3 * i, 31)
    assert cams.dtype == np.float16


def test_maps_are_those_of_the_model(folder, made):
    """Sum of the four views, each made by hand, normalised."""
    model = MODELS.build(MODEL).eval()
    model.load_state_dict(torch.load(folder / 'weights.pth', weights_only=True))
    image = cv2.imread(str(folder / 'images/b.png'))
    total = 0
    for scale in (0.5, 1.0):
        size = [round(n * scale) for n in (image.shape[1], image.shape[0])]
        view = np.array(Image.fromarray(image).resize(size, Image.BICUBIC))
        for flip in (False, True):
            data = np.ascontiguousarray(view[:, ::-1] if flip else view)
            inputs = torch.from_numpy(data).permute(2, 0, 1)
            with torch.no_grad():
                batch = model.data_preprocessor(dict(inputs=[inputs], data_samples=None))
                cam = model(batch['inputs'], mode='tensor')['cam']
                # first to the size of the view, then to that of the image
                for target in (inputs.shape[1:], image.shape[:2]):
                    cam = torch.nn.functional.interpolate(cam, target, mode='bilinear')
            total = total + (cam.flip(3) if flip else cam)[0]
    total = total.relu()
    lo, hi = total.amin((1, 2), True), total.amax((1, 2), True)
    expected = (total.where(total >= lo + 1e-5, 0.0) - lo - 1e-5) / (hi - lo + 1e-5)
    cams = read_cam_file(folder / 'made/b.npz')[1].astype(np.float32)
    np.testing.assert_allclose(cams, expected, rtol=2e-3, atol=2e-3)


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
    assert contents(tmp_path) == {**made, 'a.npz': b'finished', 'd.npz': b'finished'}


def test_overwrite(tool, folder, made, tmp_path):
    (tmp_path / 'a.npz').write_bytes(b'finished')
    run(tool, folder, tmp_path, '--overwrite')
    assert contents(tmp_path) == made


# one process imports everything, which takes seconds, and its forks run the tool
RUN_JOBS = """
import json, os, runpy, signal, sys
import numpy as np
import mmwsss

savez, calls = np.savez, []

def half(file, **arrays):
    calls.append(file)
    savez(file, **arrays)
    if len(calls) == 3:
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

def run(job):
    os.environ.update(job['environment'])
    log = os.open(job['log'], os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if job['kill']:
        np.savez = half
    sys.argv = job['argv']
    runpy.run_path(sys.argv[0], run_name='__main__')

children = []
for job in json.loads(sys.argv[1]):
    children.append(os.fork())
    if not children[-1]:
        run(job)
        sys.exit()
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]))
"""


@pytest.fixture(scope='module')
def jobs(folder):
    """A run that is killed while it writes its third file, and one of two processes."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    # what torchrun sets
    group = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2')
    killed = [str(TOOL), *arguments(folder, folder / 'killed')]
    both = [str(TOOL), *arguments(folder, folder / 'both'), '--launcher', 'pytorch']
    todo = [dict(argv=killed, kill=True, environment={}, log=str(folder / 'killed.log'))]
    for rank in '01':
        log = str(folder / f'both{rank}.log')
        environment = dict(group, RANK=rank, LOCAL_RANK=rank)
        todo.append(dict(argv=both, kill=False, environment=environment, log=log))
    process = subprocess.run(
        [sys.executable, '-c', RUN_JOBS, json.dumps(todo)],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(process.stdout.splitlines()[-1])


def test_killed_run_leaves_whole_files(folder, made, jobs):
    assert jobs[0] == -signal.SIGKILL, (folder / 'killed.log').read_text()
    left = contents(folder / 'killed')
    # two files, and the hidden rest of the third
    assert len(left) == 3
    assert {name: left.get(name) for name in ('a.npz', 'b.npz')} == {
        name: made[name] for name in ('a.npz', 'b.npz')
    }


def test_killed_run_goes_on(tool, folder, made, jobs):
    shutil.copytree(folder / 'killed', folder / 'resumed')
    run(tool, folder, folder / 'resumed')
    assert contents(folder / 'resumed') == made


def test_two_processes_write_the_files_of_one(folder, made, jobs):
    logs = [(folder / f'both{rank}.log').read_text() for rank in '01']
    assert jobs[1:] == [0, 0], logs
    assert contents(folder / 'both') == made
    assert f'5 files written to {folder / "both"}.' in logs[0]


@pytest.mark.parametrize('split', ['two', 'two.txt', 'file'])
def test_split(tool, folder, tmp_path, split):
    split = str(folder / 'two.txt') if split == 'file' else split
    run(tool, folder, tmp_path, '--split', split, '--single-scale')
    assert set(contents(tmp_path)) == {'b.npz', 'd.npz'}


def test_single_scale_is_another_map(tool, folder, made, tmp_path):
    run(tool, folder, tmp_path, '--single-scale', '--split', 'two')
    assert contents(tmp_path)['b.npz'] != made['b.npz']


def test_mixed_precision_is_close(tool, folder, made, tmp_path):
    run(tool, folder, tmp_path, '--amp', '--split', 'two', '--dtype', 'float32')
    cams = read_cam_file(tmp_path / 'b.npz')[1]
    assert cams.dtype == np.float32
    difference = np.abs(cams - read_cam_file(folder / 'made/b.npz')[1])
    # a trained model is closer: here most of a map lies about 0, where it is cut
    assert 1e-3 < difference.mean() < 5e-2


@pytest.mark.parametrize('layout', ['irn', 'psa'])
def test_older_layouts(tool, folder, made, tmp_path, layout):
    run(tool, folder, tmp_path, '--format', layout, '--split', 'two')
    data = np.load(tmp_path / 'd.npy', allow_pickle=True).item()
    found = data['high_res'][0] if layout == 'irn' else data[1]
    expected = read_cam_file(folder / 'made/d.npz')[1][0].astype(np.float32)
    np.testing.assert_allclose(found, expected.clip(0) if layout == 'irn' else expected, atol=1e-3)


@pytest.mark.parametrize('output', ['seg', 'patch'])
def test_masks_are_replaced_by_maps(tool, folder, tmp_path, output):
    head = dict(
        type='FCNHead', in_channels=256, channels=8, num_classes=3, norm_cfg=dict(type='BN')
    )
    args = tool.make_parser().parse_args(arguments(folder, tmp_path))
    cfg = Config.fromfile(args.config)
    cfg.model.update(decode_head=head, test_cfg=dict(output=output))
    tool.set_writing(cfg, args)
    assert cfg.model.module.test_cfg.output == 'cam'


def test_config_without_views(tool, folder, tmp_path):
    args = tool.make_parser().parse_args(arguments(folder, tmp_path))
    cfg = Config.fromfile(args.config)
    cfg.pop('tta_pipeline')
    with pytest.raises(UsageError, match=r'config.py has no tta_pipeline; add .* --single-scale'):
        tool.set_writing(cfg, args)


def test_weights_of_another_model(tool, folder, tmp_path):
    torch.save({'conv1.weight': torch.zeros(1)}, tmp_path / 'weights.pth')
    args = arguments(folder, tmp_path / 'out')
    args[1] = str(tmp_path / 'weights.pth')
    with pytest.raises(UsageError, match=r'weights\.pth lacks \d+ of the weights of the model'):
        tool.make_cams(tool.make_parser().parse_args(args))
    assert not (tmp_path / 'out').exists()


def test_images_that_would_share_a_file(tmp_path):
    class Twins:
        paths = ('x/a.jpg', 'y/a.png')

        def __len__(self):
            return 2

        def get_data_info(self, index):
            return dict(img_path=self.paths[index])

    with pytest.raises(UsageError, match=r'x/a.jpg and y/a.png would have the same file'):
        unfinished(Twins(), tmp_path, '.npz')
