"""Backbones."""

from .attention_mit import AttentionMiT
from .efficientnet_lite import EfficientNetLite
from .eval_batch_norm import EvalBatchNorm
from .resnet38d import ResNet38d
from .resnet_with_stem import ResNetWithStem
from .token_vit import TokenViT, resize_positions

__all__ = [
    'AttentionMiT',
    'EfficientNetLite',
    'EvalBatchNorm',
    'ResNet38d',
    'ResNetWithStem',
    'TokenViT',
    'resize_positions',
]
