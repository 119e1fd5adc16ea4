"""Decoder of SegFormer with plain linear layers before the fusion, as published."""

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
    """MMSegmentation's ``SegformerHead`` with one plain linear layer per scale.

    MMSegmentation adds batch norm and ReLU to each of these layers. The paper, its code and the
    published AFA have them only after the fusion. Takes the arguments of ``SegformerHead``.

    Source: Xie et al., NeurIPS 2021, Eq. 4, https://arxiv.org/abs/2105.15203
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
            # The layer of a scale and its part of the fusion are linear. They are merged and
            # applied before resizing, where there are up to 16 times fewer positions.
            weight = part @ linear.conv.weight.flatten(1)
            share = F.conv2d(x, weight[..., None, None], part @ linear.conv.bias)
            shares = shares + F.interpolate(share, inputs[0].shape[2:], **resized)
        return self.cls_seg(self.fusion_conv.activate(self.fusion_conv.norm(shares)))
