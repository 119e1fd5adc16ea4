"""MMSegmentation's own tools/test.py, from its package, on a config of each family."""

import json
import runpy
import sys
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from mmwsss.datasets import EmblemsSettings, make_emblems
from mmwsss.evaluation import SegEvaluator
from tests.leftovers import forget_runs
from tests.test_configs import shrink

pytestmark = pytest.mark.stack
CONFIGS = Path(__file__).parents[2] / 'configs'
TOOL = Path(mmseg.__file__).parent / '.mim/tools/test.py'
MASKS = [
    'afa/afa_mit-tiny_emblems',
    'apc/apc_vit-tiny_emblems',
    'cam/cam_r38-tiny_emblems',
    'deeplab_pseudo/deeplabv1_r38-tiny_emblems',
    'seam/seam_r38-tiny_emblems',
    'segformer_pseudo/segformer_mit-b1_voc',
    'semformer/semformer_deit-tiny_emblems',
    'supervised/fcn_r38-tiny_emblems',
    'mctformer/mctformer-plus_deit-tiny_emblems',
    'toco/toco_vit-tiny_emblems',
]
# what these predict is no segmentation
NO_MASKS = [
    'affinitynet/affinitynet_r38-tiny_emblems',
    'irn/irn_r38-tiny_emblems',
    'semformer/caae_deit-tiny_emblems',
]


@pytest.fixture(scope='module')
def emblems(tmp_path_factory):
    root = tmp_path_factory.mktemp('emblems')
    make_emblems(root, EmblemsSettings(num_train=2, num_val=2, size=64))
    return root


def prepare(name, emblems, folder):
    """Write a config for the tiny pictures and random weights; return their paths."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    if name.endswith('voc'):
        shrink(cfg.model)
        cfg.model.decode_head.num_classes = 7
        tiny = Config.fromfile(CONFIGS / 'deeplab_pseudo/deeplabv1_r38-tiny_emblems.py')
        cfg.test_dataloader = tiny.test_dataloader
    if 'caae' in cfg.model:
        cfg.model.caae.init_cfg = None
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.data_root = str(emblems)
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), folder / 'weights.pth')
    cfg.dump(folder / 'config.py')
    return folder / 'config.py', folder / 'weights.pth'


def run(monkeypatch, folder, *argv):
    """Run MMSegmentation's tool in this process."""
    forget_runs()
    monkeypatch.setenv('LOCAL_RANK', '0')
    words = [str(TOOL), *map(str, argv), '--work-dir', str(folder / 'work')]
    monkeypatch.setattr(sys, 'argv', words)
    runpy.run_path(str(TOOL), run_name='__main__')


@pytest.mark.parametrize('name', MASKS)
@pytest.mark.filterwarnings('ignore')  # MMSegmentation's own
def test_masks_and_pictures_are_written(name, emblems, tmp_path, monkeypatch):
    # no training data are there
    monkeypatch.chdir(tmp_path)
    files = prepare(name, emblems, tmp_path)
    out, show = tmp_path / 'masks', tmp_path / 'pictures'
    run(monkeypatch, tmp_path, *files, '--out', out, '--show-dir', show)
    masks = sorted(out.glob('*.png'))
    names = (emblems / 'ImageSets/Segmentation/val.txt').read_text().split()
    assert [path.stem for path in masks] == sorted(names)
    assert all(np.array(Image.open(path)).shape == (64, 64) for path in masks)
    assert len(list(show.rglob('*.png'))) == len(names)
    figures = json.loads(next((tmp_path / 'work').rglob('*/*.json')).read_text())
    assert 0 <= figures['mIoU'] <= 100


@pytest.mark.parametrize('name', NO_MASKS)
@pytest.mark.filterwarnings('ignore')
def test_pictures_of_what_predicts_no_masks(name, emblems, tmp_path, monkeypatch):
    files = prepare(name, emblems, tmp_path)
    run(monkeypatch, tmp_path, *files, '--show-dir', tmp_path / 'pictures')
    assert len(list((tmp_path / 'pictures').rglob('*.png'))) == 2


def test_folder_without_a_metric_that_writes_is_refused():
    with pytest.raises(ValueError, match='metric with output_dir, such as MaskMetric.*has none'):
        SegEvaluator(metrics=[], output_dir='masks')
