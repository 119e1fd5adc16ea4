"""APC's pipelines for one's own photographs: the configs, a short training, new pictures."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS
from PIL import Image

from mmwsss.pipeline import Pipeline
from tests.test_pipeline.test_own_data import (
    CLASSES,
    ROOT,
    SHORT,
    TOOLS,
    make_photos,
    own,
    run,
    run_test,
)
from tests.weak_data import make_image, save_image

pytestmark = pytest.mark.stack
SIDES = {'apc_vit-b_voc': 384, 'apc_vit-tiny_emblems': 128}


def template_of(name):
    """Return a pipeline, that of tiny networks with short trainings."""
    pipeline = Config.fromfile(ROOT / f'configs/pipelines/{name}.py')
    for stage in pipeline.stages.values():
        if stage.type == 'Train' and 'tiny' in name:
            stage.options = dict(SHORT, **{'train_dataloader.batch_size': 2})
    return pipeline


def made(root, name):
    """Write the configs of a pipeline for a folder, and return that of the training."""
    own(make_photos(root), template_of(name))
    return Config.fromfile(root / 'work/configs/apc.py')


@pytest.mark.parametrize('name', SIDES)
def test_heads_crops_and_phases_are_those_of_the_photographs(tmp_path, name):
    cfg = made(tmp_path, name)
    heads = (cfg.model.cam_head, cfg.model.decode_head)
    assert {head.num_classes for head in heads} == {len(CLASSES)}
    with torch.device('meta'):
        MODELS.build(cfg.model)
    side = SIDES[name]
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert {tuple(item['inputs'].shape) for item in dataset} == {(3, side, side)}
    test = DATASETS.build(cfg.test_dataloader.dataset)[1]
    assert test['data_samples'].ori_shape == (200, 150) if 'vit-b' in name else (144, 108)
    if 'vit-b' in name:
        assert test['inputs'].shape == (3, 960, 960)
        freeze = next(hook for hook in cfg.custom_hooks if hook.type == 'FreezeHook')
        assert 0 < freeze.until < cfg.train_cfg.max_iters / 5
        assert cfg.param_scheduler[0].milestones == [freeze.until]
    assert not {'epoch', 'freeze_iters', 'test_size'} & set(cfg)


@pytest.mark.filterwarnings('ignore')  # MMEngine's, of small trainings
def test_a_folder_is_trained_on_and_new_pictures_are_segmented(tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    work, template = make_photos(tmp_path) / 'work', template_of('apc_vit-tiny_emblems')
    pipeline = Pipeline(own(tmp_path, template), work, TOOLS)
    for name in ('cam', 'apc'):
        (command,) = pipeline.stages[name].commands()
        command.config.dump(tmp_path / f'{name}.py')
        run('train', tmp_path / f'{name}.py', '--work-dir', work / name)
    save_image(tmp_path / 'new/x.png', make_image([1], (101, 67), 0)[0])
    run_test(tmp_path, 'apc')
    with Image.open(tmp_path / 'out/x.png') as mask:
        assert mask.size == (67, 101)
        assert set(np.unique(mask)) <= {0, 1, 2}
