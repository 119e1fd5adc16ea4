"""Losses: each one as a pure function and as a registered module."""

from .affinity_loss import (
    PairAffinityLoss,
    PairLabels,
    pair_affinity_loss,
    pair_affinity_losses,
    pair_labels,
)
from .affinity_matrix_loss import AffinityMatrixLoss, affinity_matrix_loss
from .auto_encoder_loss import (
    ReconstructionLoss,
    SimilarityLoss,
    reconstruction_loss,
    similarity_loss,
)
from .balanced_cross_entropy_loss import BalancedCrossEntropyLoss, balanced_cross_entropy
from .contrastive_class_token_loss import (
    ContrastiveClassTokenLoss,
    contrastive_class_token_loss,
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
from .multi_label_cross_entropy_loss import (
    MultiLabelCrossEntropyLoss,
    multi_label_cross_entropy,
)
from .multi_label_loss import MultiLabelSoftMarginLoss
from .patch_contrastive_loss import PatchContrastiveLoss, patch_contrastive_loss
from .patch_equivariance_loss import PatchEquivarianceLoss, patch_equivariance_loss
from .semantic_guidance_loss import (
    ActivationComplementationLoss,
    ActivationSuppressionLoss,
    PullPushLoss,
    activation_complementation_loss,
    activation_suppression_loss,
    masked_mean,
    pull_push_loss,
    pull_push_losses,
)
from .token_contrast_loss import (
    ClassTokenContrastLoss,
    PatchTokenContrastLoss,
    class_token_contrast_loss,
    patch_token_contrast_loss,
)
from .weighted_loss import WeightedLoss

__all__ = [
    'ActivationComplementationLoss',
    'ActivationSuppressionLoss',
    'AffinityMatrixLoss',
    'BalancedCrossEntropyLoss',
    'ContrastiveClassTokenLoss',
    'ClassTokenContrastLoss',
    'DenseEnergyLoss',
    'EquivariantCrossLoss',
    'EquivariantLoss',
    'MinPoolingLoss',
    'MultiLabelCrossEntropyLoss',
    'MultiLabelSoftMarginLoss',
    'PairAffinityLoss',
    'PairLabels',
    'PatchContrastiveLoss',
    'PatchEquivarianceLoss',
    'PatchTokenContrastLoss',
    'PullPushLoss',
    'ReconstructionLoss',
    'SimilarityLoss',
    'WeightedLoss',
    'activation_complementation_loss',
    'activation_suppression_loss',
    'affinity_matrix_loss',
    'balanced_cross_entropy',
    'contrastive_class_token_loss',
    'class_token_contrast_loss',
    'dense_energy_loss',
    'equivariant_cross_loss',
    'equivariant_loss',
    'masked_mean',
    'min_pooling_loss',
    'multi_label_cross_entropy',
    'pair_affinity_loss',
    'pair_affinity_losses',
    'pair_labels',
    'patch_contrastive_loss',
    'patch_equivariance_loss',
    'patch_token_contrast_loss',
    'pull_push_loss',
    'pull_push_losses',
    'reconstruction_loss',
    'similarity_loss',
]
