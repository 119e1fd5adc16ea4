"""Losses, each a pure function and a registered module."""

from .affinity_loss import (
    PairAffinityLoss,
    PairLabels,
    pair_affinity_loss,
    pair_affinity_losses,
    pair_labels,
)
from .affinity_matrix_loss import AffinityMatrixLoss, affinity_matrix_loss
from .auto_encoder_loss import ReconstructionLoss, SimilarityLoss, similarity_loss
from .balanced_cross_entropy_loss import BalancedCrossEntropyLoss, balanced_cross_entropy
from .dense_energy_loss import DenseEnergyLoss, dense_energy_loss
from .equivariant_loss import (
    EquivariantCrossLoss,
    EquivariantLoss,
    MinPoolingLoss,
    equivariant_cross_loss,
    equivariant_loss,
    min_pooling_loss,
)
from .multi_label_cross_entropy_loss import (
    MultiLabelCrossEntropyLoss,
    multi_label_cross_entropy,
)
from .multi_label_loss import MultiLabelSoftMarginLoss
from .patch_contrastive_loss import PatchContrastiveLoss, patch_contrastive_loss

__all__ = [
    'AffinityMatrixLoss',
    'BalancedCrossEntropyLoss',
    'DenseEnergyLoss',
    'EquivariantCrossLoss',
    'EquivariantLoss',
    'MinPoolingLoss',
    'MultiLabelCrossEntropyLoss',
    'MultiLabelSoftMarginLoss',
    'PairAffinityLoss',
    'PairLabels',
    'PatchContrastiveLoss',
    'ReconstructionLoss',
    'SimilarityLoss',
    'affinity_matrix_loss',
    'balanced_cross_entropy',
    'dense_energy_loss',
    'equivariant_cross_loss',
    'equivariant_loss',
    'min_pooling_loss',
    'multi_label_cross_entropy',
    'pair_affinity_loss',
    'pair_affinity_losses',
    'pair_labels',
    'patch_contrastive_loss',
    'similarity_loss',
]
