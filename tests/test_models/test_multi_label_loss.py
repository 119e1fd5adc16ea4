"""Multi-label classification loss against the numbers of AFA's published implementation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

REFERENCE = Path(__file__).parents[1] / 'data/reference/afa/losses.npz'


@pytest.mark.parametrize('weight', [1.0, 0.5])
def test_agrees_with_the_published_value(weight):
    with np.load(REFERENCE) as file:
        logits, labels = (torch.from_numpy(file[f'cls_{key}']) for key in ('logits', 'target'))
        expected = weight * file['cls_value'].item()
    loss = MODELS.build(dict(type='MultiLabelSoftMarginLoss', loss_weight=weight))
    assert loss(logits, labels).item() == pytest.approx(expected, rel=1e-5)
