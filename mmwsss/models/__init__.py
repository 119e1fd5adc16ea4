"""Networks, their parts and their losses, registered in MMSegmentation's registries."""

from .backbones import ResNet38d
from .data_preprocessors import WeakDataPreProcessor
from .heads import CAMHead, TopKPooling
from .losses import (
    EquivariantCrossLoss,
    EquivariantLoss,
    MinPoolingLoss,
    MultiLabelSoftMarginLoss,
)
from .refiners import PixelCorrelation
from .segmentors import SEAM, CAMTTAModel, WeakSegmentor
from .transformations import (
    EquivariantFlip,
    EquivariantRescale,
    EquivariantRotate,
    EquivariantTranslate,
)

__all__ = [
    'SEAM',
    'CAMHead',
    'CAMTTAModel',
    'EquivariantCrossLoss',
    'EquivariantFlip',
    'EquivariantLoss',
    'EquivariantRescale',
    'EquivariantRotate',
    'EquivariantTranslate',
    'MinPoolingLoss',
    'MultiLabelSoftMarginLoss',
    'PixelCorrelation',
    'ResNet38d',
    'TopKPooling',
    'WeakDataPreProcessor',
    'WeakSegmentor',
]
