"""Head of DeepLabV1 with a large field of view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class LargeFOVHead(BaseDecodeHead):
    """A dilated 3x3 convolution, a 1x1 convolution, both with norm and ReLU, and the classifier.

    Source: Chen et al., ICLR 2015, Sec. 4.1, https://arxiv.org/abs/1412.7062; with norms, as in
    the retraining of SEAM and SemFormer.

    Args:
        dilation: Dilation of the 3x3 convolution.
        dropout_ratio: Dropout probability of an activation before the classifier.
        **kwargs: Arguments of MMSeg's ``BaseDecodeHead``.

    Raises:
        ValueError: ``dilation`` is not positive.
    """

    def __init__(self, *, dilation: int = 12, dropout_ratio: float = 0.5, **kwargs: Any) -> None:
        if dilation < 1:
            raise ValueError(f'LargeFOVHead: dilation must be at least 1, got {dilation}.')
        super().__init__(dropout_ratio=dropout_ratio, **kwargs)
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.convs = nn.Sequential(
            ConvModule(
                self.in_channels, self.channels, 3, padding=dilation, dilation=dilation, **common
            ),
            ConvModule(self.channels, self.channels, 1, **common),
        )
        if self.dropout is not None:
            # MMSeg's heads drop whole channels, DeepLab single activations
            self.dropout = nn.Dropout(dropout_ratio)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Classify every position.

        Shapes:
            inputs: backbone outputs; ``(N, in_channels, h, w)`` at ``in_index``.
            returns: ``(N, num_classes, h, w)`` logits.
        """
        return self.cls_seg(self.convs(self._transform_inputs(inputs)))
