"""EvalBatchNorm: statistics stay, weights learn, timm's networks take it."""

import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.models import EvalBatchNorm


def test_statistics_stay_and_weights_learn():
    norm = EvalBatchNorm(3).train()
    norm(torch.randn(2, 3, 4, 4) + 5).sum().backward()
    assert torch.equal(norm.running_mean, torch.zeros(3))
    assert norm.weight.grad.abs().sum() > 0


@pytest.mark.timm
def test_backbone_of_timm_takes_it():
    backbone = MODELS.build(
        dict(
            type='TIMMBackbone',
            model_name='test_resnet',
            pretrained=False,
            out_indices=(3, 4),
            output_stride=16,
            norm_layer='EvalBatchNorm',
        )
    ).train()
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all(isinstance(m, EvalBatchNorm) and not m.training for m in norms)
    assert [x.shape[-1] for x in backbone(torch.randn(2, 3, 64, 64))] == [4, 4]
