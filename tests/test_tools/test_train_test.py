"""train.py and test.py: options, stopping and resuming, processes, one sentence an error."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.models import SegTTAModel
from PIL import Image

from mmwsss.cli import launch
from mmwsss.compat import load_strictly
from tests.leftovers import forget_runs
from tests.loading import load_file

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = {base!r}
classes = ('background', 'square', 'circle')
data = dict(
    type='BaseSegDataset',
    data_root={root!r},
    data_prefix=dict(img_path='images', seg_map_path='masks'),
    img_suffix='.png',
    metainfo=dict(classes=classes, palette=[[0] * 3, [255, 0, 0], [0, 255, 0]]),
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs'),
    ],
)
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=p, direction='horizontal') for p in (0.0, 1.0)],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
tta_model = dict(type='SegTTAModel')
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[127.5] * 3, std=[60.0] * 3, size=(32, 32)
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=4,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=32,
        channels=8,
        num_convs=1,
        num_classes=3,
        dropout_ratio=0.0,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
    test_cfg=dict(mode='whole'),
)
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True), dataset=data
)
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=data
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05, momentum=0.9), clip_grad=None
)
param_scheduler = [dict(type='PolyLR', power=0.9, begin=0, end=5, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2, max_keep_ckpts=-1))
randomness = dict(seed=0)
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """Write six images of a square, their masks and a config."""
    folder = tmp_path_factory.mktemp('tools')
    generator = np.random.default_rng(0)
    for name in ('images', 'masks'):
        (folder / name).mkdir()
    for i in range(6):
        mask = np.zeros((32, 32), np.uint8)
        top, left = generator.integers(0, 16, 2)
        mask[top : top + 16, left : left + 16] = 1
        image = generator.integers(0, 80, (32, 32, 3)) + 150 * mask[..., None]
        Image.fromarray(image.astype(np.uint8)).save(folder / f'images/{i}.png')
        Image.fromarray(mask).save(folder / f'masks/{i}.png')
    base = os.path.relpath(ROOT / 'configs/_base_/default_runtime.py', folder)
    path = folder / 'tiny.py'
    path.write_text(CONFIG.format(base=base, root=str(folder)))
    return str(path)


train, test = load_file('tools/train.py'), load_file('tools/test.py')


def run(tool, *argv):
    """Run a tool in this process, which may have run another one."""
    forget_runs()
    main = tool.train if tool is train else tool.test
    launch.run_tool(tool.make_parser(), main, [str(word) for word in argv])


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    # the tools set it, as MMSegmentation's do
    monkeypatch.setenv('LOCAL_RANK', '0')


@pytest.fixture(scope='module')
def trained(config, tmp_path_factory):
    """Return the work dir of an undisturbed training."""
    work_dir = tmp_path_factory.mktemp('trained')
    init_default_scope('mmseg')
    run(train, config, '--work-dir', work_dir)
    return work_dir


def metrics(work_dir, name='*.json'):
    """Return the figures of the last evaluation."""
    (path,) = work_dir.glob(f'*/{name}')
    return json.loads(path.read_text().splitlines()[-1])


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_resumed_training_ends_in_the_same_state(config, trained, tmp_path):
    run(train, config, '--work-dir', tmp_path, '--cfg-options', 'train_cfg.max_iters=2')
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_2.pth')
    run(train, config, '--work-dir', tmp_path, '--resume')
    ours, theirs = (load_strictly(d / 'iter_4.pth') for d in (tmp_path, trained))
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert same(ours[key], theirs[key]), key
    early = load_strictly(tmp_path / 'iter_2.pth')
    assert not same(early['state_dict'], theirs['state_dict'])


def test_resume_without_a_checkpoint_starts_afresh(config, tmp_path):
    args = train.make_parser().parse_args([config, '--work-dir', str(tmp_path), '--resume'])
    cfg = launch.load_config(args)
    cfg.load_from = 'pretrained.pth'
    train.set_resume(cfg, named=False)
    assert (cfg.load_from, cfg.resume) == ('pretrained.pth', False)


def test_resume_goes_on_from_a_named_checkpoint(config, trained):
    args = train.make_parser().parse_args([config, '--work-dir', str(trained), '--resume'])
    cfg = launch.load_config(args)
    cfg.load_from = 'named.pth'
    train.set_resume(cfg, named=True)
    assert (cfg.load_from, cfg.resume) == ('named.pth', True)


def test_work_dir_is_named_after_the_config(config):
    cfg = launch.load_config(train.make_parser().parse_args([config]))
    assert cfg.work_dir == os.path.join('work_dirs', 'tiny')


def several_evaluators(config, path):
    """Write the same config with a list of evaluators."""
    lines = (
        f"_base_ = '{config}'\ntest_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU'])]\n"
    )
    path.write_text(lines)
    return path


@pytest.mark.parametrize('several', [False, True])
def test_out_writes_masks(config, trained, tmp_path, several):
    if several:
        config = several_evaluators(config, tmp_path / 'several.py')
    argv = [config, trained / 'iter_4.pth', '--work-dir', tmp_path, '--out', tmp_path / 'masks']
    run(test, *argv)
    masks = sorted((tmp_path / 'masks').glob('*.png'))
    assert [path.stem for path in masks] == list('012345')
    assert 0 < metrics(tmp_path)['mIoU'] <= 100


def test_out_prefers_the_evaluator_that_writes_masks():
    cfg = Config(dict(test_evaluator=[dict(type='CAMMetric'), dict(type='IoUMetric')]))
    test.set_output(cfg, 'masks')
    assert [e.get('output_dir') for e in cfg.test_evaluator] == [None, 'masks']


def test_out_reaches_the_metrics_of_an_evaluator():
    metrics = [dict(type='CAMMetric'), dict(type='MaskMetric')]
    cfg = Config(dict(test_evaluator=dict(type='SegEvaluator', metrics=metrics)))
    test.set_output(cfg, 'masks')
    assert [e.get('output_dir') for e in cfg.test_evaluator.metrics] == [None, 'masks']


def test_show_dir_paints_every_image(config, trained, tmp_path):
    painted = tmp_path / 'painted'
    run(test, config, trained / 'iter_4.pth', '--work-dir', tmp_path, '--show-dir', painted)
    assert len(list(painted.glob('**/*.png'))) == 6


@pytest.mark.filterwarnings('ignore:The shape of value will convert')  # of SegTTAModel itself
def test_tta_uses_every_view(config, trained, tmp_path, monkeypatch):
    views = []
    merge = SegTTAModel.merge_preds
    monkeypatch.setattr(
        SegTTAModel, 'merge_preds', lambda self, x: views.extend(map(len, x)) or merge(self, x)
    )
    run(test, config, trained / 'iter_4.pth', '--work-dir', tmp_path, '--tta')
    assert views == [2] * 6
    assert metrics(tmp_path)['mIoU'] > 0


def test_amp_changes_the_wrapper(config, monkeypatch):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    cfg = Config.fromfile(config)
    launch.use_amp(cfg)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'


def bad_checkpoint(path):
    path.write_bytes(b'nothing')
    return path


def init_from(path):
    init = 'model.backbone.init_cfg'
    return ['--cfg-options', f'{init}.type=Pretrained', f'{init}.checkpoint={path}']


def data_set(kind):
    place = 'train_dataloader.dataset'
    words = [f'{place}.type={kind}Dataset', f'{place}.data_root=gone', f'{place}.metainfo=None']
    words += [f'{place}.{name}=None' for name in ('img_suffix', 'data_prefix')]
    return ['--cfg-options', *words, f'{place}.ann_file=a.json']


@pytest.mark.parametrize(
    ('tool', 'argv', 'sentence'),
    [
        (train, ['none.py'], 'train.py: There is no config none.py; check the path.'),
        (train, ['CONFIG', '--amp'], 'train.py: --amp needs a GPU and none was found'),
        (
            train,
            ['CONFIG', '--amp', '--cfg-options', 'optim_wrapper.type=Other'],
            '--amp needs the optim_wrapper OptimWrapper, the config has Other.',
        ),
        (train, ['CONFIG', '--cfg-options', 'a'], '--cfg-options takes words of the form key='),
        (
            train,
            ['CONFIG', '--cfg-options', 'param_scheduler.9.x=1'],
            '9.x does not fit',
        ),
        (train, ['CONFIG', '--launcher', 'pytorch'], '--launcher pytorch needs torchrun'),
        (train, ['CONFIG', '--launcher', 'slurm'], '--launcher slurm needs GPUs'),
        (train, ['CONFIG', '--cfg-options', 'load_from=no.pth'], 'There is no checkpoint no.pth'),
        (test, ['CONFIG', 'no.pth'], 'test.py: There is no checkpoint no.pth; check the path.'),
        (
            train,
            ['CONFIG', *init_from('no.pth')],
            'There is no checkpoint no.pth; check the path, or',
        ),
        (train, ['CONFIG', *data_set('Emblems')], 'emblems.json cannot be read (No such file'),
        (train, ['CONFIG', *data_set('ImageLevelVOC')], 'there is no folder gone: put PASCAL VOC'),
        (train, ['CONFIG', *data_set('ImageLevelCOCO')], 'a.json: cannot be read (No such file'),
        (test, ['CONFIG', 'BAD'], 'bad.pth was refused because it is damaged or not a checkpoint'),
        (
            test,
            ['CONFIG', 'BAD', '--tta', '--cfg-options', 'tta_model=None'],
            '--tta needs tta_mod',
        ),
        (
            test,
            ['CONFIG', 'BAD', '--out', 'x', '--cfg-options', 'test_evaluator.type=DumpResults'],
            '--out: writing masks needs a metric with output_dir, such as MaskMetric; this config',
        ),
    ],
)
def test_wrong_calls_give_one_sentence(tool, argv, sentence, config, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    words = {'CONFIG': config, 'BAD': bad_checkpoint(tmp_path / 'bad.pth')}
    argv = [words.get(word, word) for word in argv]
    with pytest.raises(SystemExit, match='2'):
        run(tool, *argv, '--work-dir', tmp_path)
    last = capsys.readouterr().err.splitlines()[-1]
    assert sentence in last
    assert last.startswith(f'{tool.make_parser().prog}: ')


def test_unreadable_config_gives_one_sentence(tmp_path, capsys):
    (tmp_path / 'a.py').write_text("_base_ = 'missing.py'\n")
    with pytest.raises(SystemExit, match='2'):
        run(train, tmp_path / 'a.py')
    assert 'a.py cannot be read: ' in capsys.readouterr().err


def test_two_processes_train_and_evaluate_on_cpus(config, tmp_path):
    """Starting the group, wrapping the model and synchronised batch norm all ask for a GPU."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, 'PORT': port, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    environment.pop('LOCAL_RANK')
    argv = ['bash', str(ROOT / 'tools/dist_train.sh'), config, '2', '--work-dir', str(tmp_path)]
    done = subprocess.run(argv, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    together = metrics(tmp_path, 'vis_data/scalars.json')['mIoU']
    (tmp_path / 'alone').mkdir()
    run(test, config, tmp_path / 'iter_4.pth', '--work-dir', tmp_path / 'alone')
    assert metrics(tmp_path / 'alone')['mIoU'] == together


LEAVING = """
import argparse
import time
from pathlib import Path

import torch
from torch import distributed

from mmwsss.cli.launch import run_tool


def train(args):
    distributed.init_process_group('gloo', init_method='file://{store}', rank=0, world_size=1)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))
    model(torch.ones(1, 1)).sum().backward()
    model.itself = [model]  # as a runner refers to itself


run_tool(argparse.ArgumentParser(), train, [])
# a thread that was joined may be listed for another moment
time.sleep(1)
print([path.read_text().strip() for path in Path('/proc/self/task').glob('*/comm')])
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_no_thread_of_the_group_outlives_a_tool(tmp_path):
    """One that does aborts the interpreter at its end, now and then."""
    script = LEAVING.format(store=tmp_path / 'store')
    argv = [sys.executable, '-W', 'ignore', '-c', script]
    out = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'python' in out
    assert 'gloo' not in out


TALKING = """
import argparse
import os

from mmwsss.cli.launch import run_tool


def talk(args):
    if args.other:
        read, write = os.pipe()
        os.close(read)
        os.write(write, b'x')
    print('something', flush={flush})


parser = argparse.ArgumentParser()
parser.add_argument('--other', action='store_true')
run_tool(parser, talk)
"""


def talk(*argv, flush=True, unbuffered='', listen=False):
    read, write = os.pipe()
    if not listen:
        os.close(read)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', TALKING.format(flush=flush), *argv],
        cwd=ROOT,
        env={**os.environ, 'PYTHONUNBUFFERED': unbuffered},
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    if listen:
        os.close(read)
    return done


@pytest.mark.parametrize(('flush', 'unbuffered'), [(True, ''), (False, ''), (False, '1')])
def test_a_reader_that_has_gone_ends_a_tool_silently(flush, unbuffered):
    done = talk(flush=flush, unbuffered=unbuffered)
    assert (done.returncode, done.stderr) == (1, '')


def test_another_broken_pipe_is_an_error():
    assert 'BrokenPipeError' in talk('--other', listen=True).stderr


def test_config_for_processes_on_cpus(config, monkeypatch):
    cfg = Config.fromfile(config)
    cfg.launcher, cfg.find_unused_parameters = 'pytorch', True
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    launch.prepare_distributed(cfg)
    assert cfg.model_wrapper_cfg.device_ids is None
    assert cfg.model_wrapper_cfg.find_unused_parameters is True
    assert 'SyncBN' not in str(cfg.model)
    assert 'SyncBN' in CONFIG


@pytest.mark.parametrize('launcher', ['none', 'pytorch'])
def test_with_a_gpu_or_one_process_nothing_changes(config, monkeypatch, launcher):
    cfg = Config.fromfile(config)
    cfg.launcher = launcher
    before = cfg.pretty_text
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda' if launcher == 'pytorch' else 'cpu')
    launch.prepare_distributed(cfg)
    assert cfg.pretty_text == before


@pytest.mark.parametrize('started_by', ['torchrun', 'another'])
def test_processes_of_torchrun_end_with_it(config, monkeypatch, started_by):
    cfg, asked = Config.fromfile(config), []
    cfg.launcher = 'pytorch'
    monkeypatch.setenv('RANK', '0')
    monkeypatch.delenv('TORCHELASTIC_RUN_ID', raising=False)
    if started_by == 'torchrun':
        monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(launch, 'die_with_parent', lambda: asked.append(True))
    launch.prepare_distributed(cfg)
    assert len(asked) == (started_by == 'torchrun')


def test_missing_weights_are_said_first_and_last_also_after_a_stop(config, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    init = 'model.backbone.init_cfg'
    weights = [f'{init}.type=Pretrained', f'{init}.checkpoint=mmwsss://resnet38d']
    work_dir = tmp_path / 'work'
    stop = ['train_cfg.max_iters=2']
    run(train, config, '--work-dir', work_dir, '--cfg-options', *weights, *stop)
    run(train, config, '--work-dir', work_dir, '--resume', '--cfg-options', *weights)
    logs = sorted(work_dir.glob('*/*.log'), key=os.path.getmtime)
    assert len(logs) == 2
    for log in logs:
        lines = log.read_text().splitlines()
        warned = [line for line in lines if 'WARNING - The pretrained weights mmwsss://' in line]
        assert len(warned) == 1
        assert 'WARNING - This training began without its weights. The pretrained' in lines[-1]
