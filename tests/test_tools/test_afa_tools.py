"""AFA's tiny config through train.py and test.py: phases of a resumed training, all outputs."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmseg.registry import HOOKS

from mmwsss.cli import launch
from mmwsss.compat import load_strictly
from mmwsss.datasets import make_emblems
from mmwsss.datasets.emblems import EmblemsSettings
from mmwsss.models.segmentors import afa as afa_module
from tests.leftovers import forget_runs

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/afa/afa_mit-tiny_emblems.py'
PHASES = [None, None, 'cam', 'cam', 'affinity', 'affinity']


@HOOKS.register_module(force=True)
class BreakAtHook(Hook):
    """Stop a training before an iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            raise InterruptedError


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('afa') / 'emblems'
    make_emblems(root, EmblemsSettings(num_train=8, num_val=3, size=64, num_emblems=3))
    return root


def options_of_small_version(data_root):
    return {
        'train_dataloader.dataset.data_root': data_root,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_dataloader.batch_size': 2,
        'test_dataloader.dataset.data_root': data_root,
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
        'model.data_preprocessor.size': '(64,64)',
        'model.backbone.init_cfg': None,
        'model.backbone.embed_dims': 8,
        'model.cam_head.in_channels': 32,
        'model.cam_head.num_classes': 4,
        'model.decode_head.in_channels': '[8,16,32,32]',
        'model.decode_head.num_classes': 4,
        'model.train_cfg.warmup_iters': 1,
        'model.train_cfg.switch_iters': 3,
        'tta_model.long_side': 64,
        'train_cfg.max_iters': len(PHASES),
        'default_hooks.checkpoint.interval': 3,
        'default_hooks.logger.interval': 1,
        'randomness.seed': 0,
    }


@pytest.fixture(scope='module')
def run(data_root):
    """Return a function that runs train.py or test.py on a small version of the config."""

    def run(name, *words, work_dir, config=CONFIG, **options):
        spec = importlib.util.spec_from_file_location(name, ROOT / f'tools/{name}.py')
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
        forget_runs()
        init_default_scope('mmseg')
        options = {**options_of_small_version(data_root), **options}
        argv = [config, *words, '--work-dir', work_dir, '--cfg-options']
        argv += [f'{key}={value}' for key, value in options.items()]
        launch.run_tool(tool.make_parser(), getattr(tool, name), [str(word) for word in argv])

    return run


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    # the tools set it, as MMSegmentation's do
    monkeypatch.setenv('LOCAL_RANK', '0')


@pytest.fixture(scope='module')
def trained(run, tmp_path_factory):
    """Return the work dir of an undisturbed training and the phases of its iterations."""
    work_dir, patch = tmp_path_factory.mktemp('trained'), pytest.MonkeyPatch()
    with patch.context() as context:
        context.setenv('LOCAL_RANK', '0')
        seen = note_phases(context)
        run('train', work_dir=work_dir)
    return work_dir, seen


def note_phases(monkeypatch):
    """Note iteration and phase of every step of a training."""
    seen, phase_of = [], afa_module.phase_of

    def noting(iteration, cfg):
        phase = phase_of(iteration, cfg)
        seen.append((iteration, phase.segmentation))
        return phase

    monkeypatch.setattr(afa_module, 'phase_of', noting)
    return seen


def test_phases_of_a_training(trained):
    assert trained[1] == list(enumerate(PHASES))


def test_resumed_training_goes_on_in_its_phase(run, trained, tmp_path, monkeypatch):
    config = tmp_path / 'stopping.py'
    hooks = "[dict(type='ExactResumeHook'), dict(type='BreakAtHook', iteration=5)]"
    config.write_text(f'_base_ = {str(CONFIG)!r}\ncustom_hooks = {hooks}\n')
    with pytest.raises(InterruptedError):
        run('train', work_dir=tmp_path, config=config)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_3.pth']
    seen = note_phases(monkeypatch)
    run('train', '--resume', work_dir=tmp_path)
    assert seen == list(enumerate(PHASES))[3:]
    ours, theirs = (load_strictly(d / 'iter_6.pth')['state_dict'] for d in (tmp_path, trained[0]))
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def figures(work_dir):
    """Return the figures of the last evaluation."""
    (path,) = work_dir.glob('*/*.json')
    return json.loads(path.read_text().splitlines()[-1])


@pytest.mark.parametrize('output', ['seg', 'cam', 'affinity_cam'])
def test_every_output_is_evaluated(run, trained, tmp_path, output):
    options = {'model.test_cfg.output': output}
    run('test', trained[0] / 'iter_6.pth', work_dir=tmp_path, **options)
    found = figures(tmp_path)
    assert {'mIoU', 'tags/F1', 'tags/precision', 'tags/recall'} <= set(found)


@pytest.mark.parametrize('crf', [False, True])
def test_test_time_augmentation_has_no_tags(run, trained, tmp_path, crf):
    options = {'model.test_cfg.crf.type': 'DenseCRF', 'model.test_cfg.crf.num_iters': 1}
    checkpoint = trained[0] / 'iter_6.pth'
    run('test', checkpoint, '--tta', work_dir=tmp_path, **(options if crf else {}))
    found = figures(tmp_path)
    assert 'mIoU' in found
    assert 'tags/F1' not in found
