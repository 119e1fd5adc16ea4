"""Networks, their parts and their losses, registered in MMSegmentation's registries."""

from .backbones import ResNet38d, ResNetWithStem
from .data_preprocessors import WeakDataPreProcessor
from .heads import CAMHead, DeepLabV2Head, LargeFOVHead, TopKPooling
from .losses import (
    DenseEnergyLoss,
    EquivariantCrossLoss,
    EquivariantLoss,
    MinPoolingLoss,
    MultiLabelSoftMarginLoss,
    PairAffinityLoss,
)
from .refiners import PAR, CAMWalk, DenseCRF, PixelCorrelation, RandomWalk
from .segmentors import (
    SEAM,
    AffinityNet,
    AffinitySegmentor,
    CAMTTAModel,
    CRFEncoderDecoder,
    CRFTTAModel,
    IRNBoundary,
    WeakSegmentor,
)
from .transformations import (
    EquivariantFlip,
    EquivariantRescale,
    EquivariantRotate,
    EquivariantTranslate,
)

__all__ = [
    'PAR',
    'SEAM',
    'AffinityNet',
    'AffinitySegmentor',
    'CAMHead',
    'CAMTTAModel',
    'CAMWalk',
    'CRFEncoderDecoder',
    'CRFTTAModel',
    'DeepLabV2Head',
    'DenseCRF',
    'DenseEnergyLoss',
    'EquivariantCrossLoss',
    'EquivariantFlip',
    'EquivariantLoss',
    'EquivariantRescale',
    'EquivariantRotate',
    'EquivariantTranslate',
    'IRNBoundary',
    'LargeFOVHead',
    'MinPoolingLoss',
    'MultiLabelSoftMarginLoss',
    'PairAffinityLoss',
    'PixelCorrelation',
    'RandomWalk',
    'ResNet38d',
    'ResNetWithStem',
    'TopKPooling',
    'WeakDataPreProcessor',
    'WeakSegmentor',
]
