"""benchmark.py: what is measured, and the table."""

import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tests.loading import load_file

TOOL = Path(__file__).parents[2] / 'benchmarks/benchmark.py'
FAST = ['--size', '16', '24', '--iters', '1', '--repeats', '2', '--warmup', '0', '--device', 'cpu']
PREPROCESSOR = dict(
    type='WeakDataPreProcessor', mean=[0] * 3, std=[255] * 3, size=(64, 64), bgr_to_rgb=True
)
MODEL = dict(
    type='WeakSegmentor',
    data_preprocessor=PREPROCESSOR,
    backbone=dict(
        type='ResNet38d',
        width=1 / 16,
        depths=(1, 1, 1, 1, 1, 1),
        init_cfg=dict(type='Pretrained', checkpoint='there_is_none.pth'),
    ),
    cam_head=dict(type='CAMHead', in_channels=256, num_classes=3),
)


@pytest.fixture(scope='module')
def tool():
    return load_file(TOOL)


@pytest.fixture
def config(tmp_path):
    cfg = Config(
        dict(
            default_scope='mmseg',
            model=MODEL,
            train_dataloader=dict(batch_size=3),
            optim_wrapper=dict(type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
        )
    )
    cfg.dump(tmp_path / 'config.py')
    return str(tmp_path / 'config.py')


@pytest.fixture
def seen(monkeypatch):
    """Inputs that the backbone is given, and whether autocast is on."""
    from mmwsss.models import ResNet38d

    found = []
    forward = ResNet38d.forward

    def spy(self, x):
        found.append((x, torch.is_autocast_enabled('cpu'), torch.is_grad_enabled(), self.training))
        return forward(self, x)

    monkeypatch.setattr(ResNet38d, 'forward', spy)
    return found


@pytest.mark.parametrize(('mode', 'batch_size'), [('train', 3), ('infer', 1)])
def test_measured_is_what_the_config_says(tool, config, seen, mode, batch_size):
    result = tool.measure(config, tool.parse_args([config, '--mode', mode, *FAST]))
    assert result['batch_size'] == batch_size
    assert len(result['rates']) == 2
    assert min(result['rates']) > 0
    assert result['peak'] > 2**20
    assert len(seen) == 2
    for inputs, autocast, grad, training in seen:
        assert inputs.shape == (batch_size, 3, 16, 24)
        assert not autocast
        assert grad == training == (mode == 'train')


@pytest.mark.parametrize('mode', ['train', 'infer'])
def test_precision_and_memory_format(tool, config, seen, mode):
    options = ['--amp', '--channels-last', '--batch-size', '2', '--mode', mode]
    tool.measure(config, tool.parse_args([config, *FAST, *options]))
    inputs, autocast, *_ = seen[0]
    assert len(inputs) == 2
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert autocast


def test_training_changes_the_weights(tool, config):
    cfg = Config.fromfile(config)
    args = tool.parse_args([config, *FAST])
    model = tool.build_model(cfg, args)
    before = model.cam_head.conv_cam.weight.clone()
    tool.make_step(cfg, model, args)(tool.synthetic_batch(3, 2, (16, 24)))
    assert not torch.equal(model.cam_head.conv_cam.weight, before)


def test_table_of_a_run(tool, config, capfd, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(TOOL.parents[1]))
    assert tool.main([config, *FAST, '--threads', '1', '--mode', 'infer']) == 0
    output = capfd.readouterr().out
    assert 'infer on cpu, 1 threads, float32: median of 2 x 1 steps' in output
    assert 'peak MiB (process)' in output
    (line,) = [line for line in output.splitlines() if config in line]
    cells = [cell.strip() for cell in line.strip('|').split('|')]
    assert cells[1:3] == ['1', '16 x 24']
    assert float(cells[3].split()[0]) > 0
    assert float(cells[4]) > 1


def test_config_that_fails_is_named(tool, config, capfd, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, '', 'Traceback\nValueError: no such thing\n')
    monkeypatch.setattr(subprocess, 'run', lambda *args, **kwargs: failed)
    assert tool.main([config, *FAST]) == 1
    assert f'{config} could not be measured: ValueError: no such thing' in capfd.readouterr().err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--iters', '0'], '--iters must be at least 1, got 0'),
        (['--batch-size', '0'], '--batch-size must be at least 1, got 0'),
        (['--size', '1', '2', '3'], r'--size takes one or two positive numbers'),
    ],
)
def test_wrong_options(tool, options, message, capsys):
    with pytest.raises(SystemExit, match='2'):
        tool.parse_args(['config.py', *options])
    assert message in capsys.readouterr().err
