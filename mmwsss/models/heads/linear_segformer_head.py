"""SegFormer's decoder as its authors and AFA train it: linear layers before the fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from mmseg.models.decode_heads import SegformerHead
from mmseg.registry import MODELS
from torch import Tensor


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

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the logits ``(N, num_classes, h, w)`` at the size of the first features."""
        inputs = self._transform_inputs(inputs)
        resized, shares = dict(mode=self.interpolate_mode, align_corners=self.align_corners), 0
        parts = self.fusion_conv.conv.weight.flatten(1).split(self.channels, dim=1)
        for x, linear, part in zip(inputs, self.convs, parts, strict=True):
            # A scale's layer and its part of the fusion are linear, so they are one layer, and
            # it may come before the resizing, where there are up to 16 times fewer positions.
            weight = part @ linear.conv.weight.flatten(1)
            share = F.conv2d(x, weight[..., None, None], part @ linear.conv.bias)
            shares = shares + F.interpolate(share, inputs[0].shape[2:], **resized)
        return self.cls_seg(self.fusion_conv.activate(self.fusion_conv.norm(shares)))
