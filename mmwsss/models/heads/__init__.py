"""Heads on backbone features."""

from .cam_head import CAMHead
from .deeplabv2_head import DeepLabV2Head
from .large_fov_head import LargeFOVHead
from .top_k_pooling import TopKPooling

__all__ = ['CAMHead', 'DeepLabV2Head', 'LargeFOVHead', 'TopKPooling']
