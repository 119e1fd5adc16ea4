"""From maps to a trained network of affinities: label tool, data pipeline and Runner by config."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmwsss.datasets.class_names import class_names
from mmwsss.evaluation import write_cam_file
from tests.loading import load_file
from tests.weak_data import TRAIN_TAGS, make_voc

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[1]
SIZE = (72, 100)
TINY = {
    'affinitynet/affinitynet_r38_voc.py': dict(
        backbone=dict(width=1 / 16, depths=(1, 1, 1, 1, 1, 1), init_cfg=None),
        in_channels=(32, 64, 256),
        embed_channels=(4, 4, 4),
    ),
    'irn/irn_r50_voc.py': dict(
        backbone=dict(depth=18, base_channels=4, stem_channels=4, init_cfg=None),
        in_channels=(4, 4, 8, 16, 32),
        embed_channels=8,
    ),
}
STYLES = {'affinitynet/affinitynet_r38_voc.py': 'psa', 'irn/irn_r50_voc.py': 'irn'}
PREDICTIONS = {
    'affinitynet/affinitynet_r38_voc.py': ('affinity_features', (12, 9, 13)),
    'irn/irn_r50_voc.py': ('edge', (1, 18, 25)),
}


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    """A VOC of four images without masks, and maps that are bright where objects are."""
    folder = make_voc(tmp_path_factory.mktemp('affinity'), size=SIZE, masks=False)
    classes = class_names(['voc'])
    for i, tags in enumerate(TRAIN_TAGS):
        keys = sorted(classes.index(tag) - 1 for tag in tags)
        cams = np.zeros((len(keys), *SIZE), np.float32)
        for k in range(len(keys)):
            left, right = (2 + n * (SIZE[1] - 4) // len(keys) for n in (k, k + 1))
            cams[k, SIZE[0] // 4 : 3 * SIZE[0] // 4, left : right - 3] = 0.9
        write_cam_file(folder / f'cams/2007_{i:06d}.npz', keys, cams)
    return folder


def make_labels(data_root, style):
    """Run the tool, and return the folder of the labels."""
    tool = load_file('tools/make_affinity_labels.py')
    words = [data_root / 'cams', '--images', data_root / 'JPEGImages', '--style', style]
    words += ['--out-dir', data_root / style, '--num-classes', 21, '--workers', 1]
    tool.make_affinity_labels(tool.make_parser().parse_args([str(word) for word in words]))
    return str(data_root / style)


def set_tiny(cfg, data_root, label_dir, work_dir):
    """Make a public config small, and let it see the data."""
    name = str(Path(cfg.filename).relative_to(ROOT / 'configs'))
    cfg.merge_from_dict(dict(model=TINY[name]))
    cfg.model.data_preprocessor.size = (96, 96)
    loaders = cfg.train_dataloader, cfg.test_dataloader
    for loader in loaders:
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(data_root)
        loader.dataset.data_prefix = dict(img_path='JPEGImages')
    cfg.train_dataloader.batch_size = 2
    cfg.test_dataloader.dataset.pipeline = cfg.test_pipeline
    for step in cfg.train_dataloader.dataset.pipeline:
        if 'label_dir' in step:
            step.label_dir = label_dir
        if step.type == 'ResizeLongSide':
            step.update(min_size=80, max_size=120)
        if 'crop_size' in step:
            step.crop_size = (96, 96)
    cfg.train_cfg.max_iters = 2
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = Path(name).stem


@pytest.mark.parametrize('name', TINY)
def test_training_by_the_config(data_root, tmp_path, name):
    cfg = Config.fromfile(ROOT / 'configs' / name, import_custom_modules=False)
    set_tiny(cfg, data_root, make_labels(data_root, STYLES[name]), tmp_path)
    runner = Runner.from_cfg(cfg)
    batch = next(iter(runner.train_dataloader))
    labels = [sample.gt_sem_seg.data for sample in batch['data_samples']]
    grid = 12 if STYLES[name] == 'psa' else 96
    assert [label.shape for label in labels] == [(1, grid, grid)] * 2
    values = torch.cat(labels).unique().tolist()
    assert {0, 255} < set(values)
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    after = runner.model.state_dict()
    assert all(v.isfinite().all() for v in after.values())
    changed = {k for k, v in after.items() if not torch.equal(v, before[k])}
    assert {k.split('.')[0] for k in changed} >= {'embeds', 'project'}
    # what is predicted serves a random walk; there is nothing to evaluate by itself
    key, shape = PREDICTIONS[name]
    seen = []
    runner.model.register_forward_hook(lambda _, __, samples: seen.extend(samples))
    assert runner.test() == {}
    assert {tuple(sample.get(key).data.shape) for sample in seen} == {shape}
    assert len(seen) == len(TRAIN_TAGS)
    padded = (72, 104) if STYLES[name] == 'psa' else (512, 512)
    assert {tuple(sample.metainfo['pad_shape']) for sample in seen} == {padded}
