"""SegFormer's decoder as its authors and AFA train it: linear layers before the fusion."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from mmseg.models.decode_heads import SegformerHead
from mmseg.registry import MODELS


@MODELS.register_module()
class LinearSegformerHead(SegformerHead):
    """MMSegmentation's ``SegformerHead`` with nothing but a linear layer for each scale.

    MMSegmentation puts batch norm and ReLU behind each of them; the paper, its code and the
    published AFA have them behind the fusion alone.

    Source: Xie et al., NeurIPS 2021, Eq. 4, https://arxiv.org/abs/2105.15203

    Args:
        **kwargs: Arguments of ``SegformerHead``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.convs = ModuleList(
            ConvModule(channels, self.channels, 1, norm_cfg=None, act_cfg=None)
            for channels in self.in_channels
        )
