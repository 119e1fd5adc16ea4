"""Parameter groups: rates, decay, names."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.backbone[0].requires_grad_(False)
        self.head = nn.Linear(4, 2)
        self.head_extra = nn.Linear(4, 2)
        self.token = nn.Parameter(torch.zeros(3))


def groups(**paramwise):
    cfg = dict(
        type='OptimWrapper',
        optimizer=dict(type='SGD', lr=0.01, momentum=5e-4, weight_decay=5e-4),
        constructor='WeakOptimWrapperConstructor',
        paramwise_cfg=paramwise,
    )
    net = Net()
    names = {id(p): n for n, p in net.named_parameters()}
    optimizer = build_optim_wrapper(net, cfg).optimizer
    return [
        (
            {names[id(p)] for p in group['params']},
            round(group['lr'] / 0.01, 6),
            group['weight_decay'],
        )
        for group in optimizer.param_groups
    ]


def test_four_groups():
    assert groups(new=['head'], as_bias=['token']) == [
        ({'backbone.1.weight', 'head_extra.weight'}, 1, 5e-4),
        ({'backbone.1.bias', 'head_extra.bias', 'token'}, 2, 0),
        ({'head.weight'}, 10, 5e-4),
        ({'head.bias'}, 20, 0),
    ]


def test_multipliers_can_be_set():
    got = groups(new=['token'], new_lr_mult=3.0, bias_lr_mult=1.0, bias_decay_mult=1.0)
    assert [(lr, decay) for _, lr, decay in got] == [(1, 5e-4), (1, 5e-4), (3, 5e-4)]


@pytest.mark.parametrize('key', ['new', 'as_bias'])
def test_name_that_nothing_has_is_refused(key):
    with pytest.raises(
        ValueError, match="no trainable parameter is called 'hea' .* backbone, head"
    ):
        groups(**{key: ['hea']})


def test_unknown_key_is_refused():
    with pytest.raises(ValueError, match='paramwise_cfg has no custom_keys'):
        groups(custom_keys={})
