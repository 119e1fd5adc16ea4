"""First weights by name: what a training does without them, and what a pipeline does."""

import pytest
import torch
from mmengine.config import Config

from mmwsss.cli import first_weights
from mmwsss.cli.first_weights import (
    require_weights,
    settle_weights,
    weight_names,
    without_weights,
)
from mmwsss.compat import CheckpointError
from mmwsss.models import pretrained

pytestmark = pytest.mark.stack


def init(checkpoint):
    return dict(type='Pretrained', checkpoint=checkpoint)


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """See to it that no weights are there, and none can be downloaded."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.chdir(tmp_path)

    def fail(url, *args, **kwargs):
        raise ConnectionError('no network')

    monkeypatch.setattr(pretrained.hub, 'download_url_to_file', fail)


def config(checkpoint='mmwsss://resnet38d', **values):
    backbone = dict(type='ResNet38d', init_cfg=init(checkpoint))
    return Config(dict(model=dict(type='SEAM', backbone=backbone), **values))


@pytest.mark.parametrize('name', ['mmwsss://resnet38d', 'mmwsss://mit-b1', 'mmwsss://resnet50'])
def test_training_goes_on_without_weights_and_will_say_so(name):
    cfg = config(name, custom_hooks=[dict(type='ExactResumeHook')])
    settle_weights(cfg)
    assert 'init_cfg' not in cfg.model.backbone
    kept, hook = cfg.custom_hooks
    assert kept.type == 'ExactResumeHook' and hook.type == 'RandomStartHook'
    assert hook.sentences[0].startswith(f'The pretrained weights {name} are not here')
    assert 'model.backbone starts from random weights' in hook.sentences[0]


def test_old_file_name_stands_for_the_weights():
    cfg = config('checkpoints/resnet38d_imagenet.pth')
    settle_weights(cfg)
    assert 'init_cfg' not in cfg.model.backbone


def test_path_is_left_to_the_loader(tmp_path):
    cfg = config('nowhere/mine.pth')
    settle_weights(cfg)
    assert cfg.model.backbone.init_cfg.checkpoint == 'nowhere/mine.pth'
    assert cfg.custom_hooks[0].sentences == []


def test_weights_that_are_there_stay(monkeypatch):
    monkeypatch.setattr(first_weights, 'load_pretrained', lambda name: {})
    cfg = config()
    settle_weights(cfg)
    assert cfg.model.backbone.init_cfg.checkpoint == 'mmwsss://resnet38d'
    assert cfg.custom_hooks[0].sentences == []


def test_unknown_name_stops_a_training():
    with pytest.raises(CheckpointError, match='no pretrained weights mmwsss://mit-b9'):
        settle_weights(config('mmwsss://mit-b9'))


def test_training_that_goes_on_needs_no_weights(monkeypatch):
    def load(name):
        raise AssertionError('nothing may be fetched')

    monkeypatch.setattr(first_weights, 'load_pretrained', load)
    cfg = config('mmwsss://mit-b1', load_from='iter_10.pth')
    settle_weights(cfg)
    assert 'init_cfg' not in cfg.model.backbone
    assert cfg.custom_hooks[0].sentences == []


def test_all_places_are_found():
    model = dict(
        backbone=dict(init_cfg=init('mmwsss://mit-b1')),
        heads=[dict(inner=dict(init_cfg=[dict(type='Normal'), init('mmwsss://deit-s')]))],
    )
    assert weight_names(model) == {
        'backbone': 'mmwsss://mit-b1',
        'heads.0.inner.1': 'mmwsss://deit-s',
    }
    assert without_weights(model, ['mmwsss://deit-s']) == dict(
        backbone=model['backbone'], heads=[dict(inner=dict(init_cfg=[dict(type='Normal')]))]
    )


def test_requirement_stops_without_weights():
    with pytest.raises(pretrained.MissingWeightsError, match='mmwsss://mit-b1 are not here and'):
        require_weights(['mmwsss://mit-b1'])


def test_plan_asks_only_for_what_has_no_address():
    require_weights(['mmwsss://mit-b1'], download=False)
    with pytest.raises(
        pretrained.MissingWeightsError, match='mmwsss://resnet38d are not here: get'
    ):
        require_weights(['mmwsss://mit-b1', 'mmwsss://resnet38d'], download=False)


def test_old_path_is_loaded_by_name(tmp_path, capsys, monkeypatch):
    from mmengine.runner.checkpoint import load_checkpoint

    state = dict(weight=torch.ones(1, 2), bias=torch.ones(1))
    monkeypatch.setattr(pretrained, 'load_pretrained', lambda name: state)
    model = torch.nn.Linear(2, 1)
    load_checkpoint(model, 'checkpoints/mit_b1_mmseg.pth')
    assert torch.equal(model.weight, state['weight'])
    said = capsys.readouterr().err
    assert 'checkpoints/mit_b1_mmseg.pth does not exist; using mmwsss://mit-b1.' in said
