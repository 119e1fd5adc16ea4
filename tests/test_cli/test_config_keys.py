"""Settings that there are not, and the nearest that there is."""

import pytest
from mmengine.config import Config

from mmwsss.cli.config_keys import mistyped_names, wrong_key
from mmwsss.utils import check_number, number

CONFIG = Config(
    dict(
        model=dict(type='SEAM', test_cfg=dict(bg_score=0.2), backbone=dict(type='ResNet38d')),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=4),
        train_dataloader=dict(batch_size=2, dataset=dict(type='ImageLevelVOCDataset')),
        param_scheduler=[dict(type='PolyLR', power=0.9)],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=5)),
    )
)


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('nosuch', "the config has no 'nosuch'; there are"),
        ('train_cgf.max_iters', "the config has no 'train_cgf' (did you mean 'train_cfg'?)"),
        ('train_cfg.max_itres', "train_cfg has no 'max_itres' (did you mean 'max_iters'?)"),
        ('model.backbone.depht', "model.backbone has no 'depht'"),
        ('model.test_cfg.bg_scroe', "has no 'bg_scroe' (did you mean 'bg_score'?)"),
        ('train_dataloader.batchsize', "has no 'batchsize' (did you mean 'batch_size'?)"),
        ('train_dataloader.dataset.ann_fil', "did you mean 'ann_file'?"),
        ('param_scheduler.power', 'param_scheduler is a list, which takes a number from 0 to 0'),
        ('param_scheduler.3.power', 'param_scheduler is a list'),
        ('train_cfg.max_iters.x', "train_cfg.max_iters is '4', which has no 'x'"),
        ('default_hooks.checkpoint.intervall', "did you mean 'interval'?"),
    ],
)
def test_unknown_keys_are_named(key, message):
    assert message in wrong_key(key, CONFIG)


@pytest.mark.parametrize(
    'key',
    [
        'resume',
        'randomness.seed',
        'train_cfg.val_interval',
        'model.backbone.init_cfg.checkpoint',
        'model.test_cfg.crf',
        'train_dataloader.num_workers',
        'param_scheduler.0.eta_min',
        'train_dataloader.dataset.ann_file',
        'find_unused_parameters',
    ],
)
def test_known_keys_need_not_be_in_the_config(key):
    assert wrong_key(key, CONFIG) == ''


def test_a_mistyped_name_in_a_file():
    assert "'train_cgf', which nothing reads" in mistyped_names({'train_cgf': 1})
    assert mistyped_names({'train_cfg': 1, 'my_own': 2, 'train_pipeline': 3}) == ''


@pytest.mark.parametrize('value', [5, -0.1, float('nan'), float('inf')])
def test_numbers_out_of_range(value):
    with pytest.raises(ValueError, match='opacity must be 0 to 1, got'):
        check_number('opacity', value, 0, 1)


@pytest.mark.parametrize('text', ['0', 'x', '1.5', '9' * 5000, 'nan'])
def test_words_that_are_no_such_number(text):
    with pytest.raises(Exception, match='where a whole number, at least 1, is expected'):
        number(int, 1)(text)
