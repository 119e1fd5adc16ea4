"""Losses, each a pure function and a registered module."""

from .equivariant_loss import (
    EquivariantCrossLoss,
    EquivariantLoss,
    MinPoolingLoss,
    equivariant_cross_loss,
    equivariant_loss,
    min_pooling_loss,
)
from .multi_label_loss import MultiLabelSoftMarginLoss

__all__ = [
    'EquivariantCrossLoss',
    'EquivariantLoss',
    'MinPoolingLoss',
    'MultiLabelSoftMarginLoss',
    'equivariant_cross_loss',
    'equivariant_loss',
    'min_pooling_loss',
]
