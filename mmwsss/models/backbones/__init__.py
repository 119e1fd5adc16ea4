"""Backbones."""

from .attention_mit import AttentionMiT
from .resnet38d import ResNet38d
from .resnet_with_stem import ResNetWithStem
from .token_vit import TokenViT, resize_positions

__all__ = ['AttentionMiT', 'ResNet38d', 'ResNetWithStem', 'TokenViT', 'resize_positions']
