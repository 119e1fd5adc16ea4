"""Losses, each a pure function and a registered module."""

from .affinity_loss import (
    PairAffinityLoss,
    PairLabels,
    pair_affinity_loss,
    pair_affinity_losses,
    pair_labels,
)
from .dense_energy_loss import DenseEnergyLoss, dense_energy_loss
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
    'DenseEnergyLoss',
    'EquivariantCrossLoss',
    'EquivariantLoss',
    'MinPoolingLoss',
    'MultiLabelSoftMarginLoss',
    'PairAffinityLoss',
    'PairLabels',
    'dense_energy_loss',
    'equivariant_cross_loss',
    'equivariant_loss',
    'min_pooling_loss',
    'pair_affinity_loss',
    'pair_affinity_losses',
    'pair_labels',
]
