"""Heads on backbone features."""

from .cam_head import CAMHead
from .top_k_pooling import TopKPooling

__all__ = ['CAMHead', 'TopKPooling']
