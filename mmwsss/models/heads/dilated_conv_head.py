"""Decode head of dilated convolutions without norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class DilatedConvHead(BaseDecodeHead):
    """Dilated 3x3 convolutions with ReLU, and a classifier; no norm, by default no bias anywhere.

    MMSegmentation's ``FCNHead`` has biases where it has no norm. Layers keep PyTorch's
    initialisation by default.

    Sources: Ru et al. (ToCo), CVPR 2023, https://arxiv.org/abs/2303.01267, and Xu et al.
    (MCTformer), CVPR 2022, https://arxiv.org/abs/2203.02891, published code.

    Args:
        num_convs: 3x3 convolutions.
        dilation: Of each of them, and of the classifier.
        bias: Whether all of these have biases.
        classifier_size: Side of the classifier, odd.
        **kwargs: Arguments of MMSegmentation's ``BaseDecodeHead``.

    Raises:
        ValueError: ``num_convs`` or ``dilation`` is not positive, or ``classifier_size`` not odd.
    """

    def __init__(
        self,
        *,
        num_convs: int = 2,
        dilation: int = 5,
        bias: bool = False,
        classifier_size: int = 1,
        **kwargs: Any,
    ) -> None:
        if num_convs < 1 or dilation < 1:
            raise ValueError(
                f'DilatedConvHead: num_convs and dilation must be at least 1, got {num_convs} and '
                f'{dilation}.'
            )
        if classifier_size < 1 or classifier_size % 2 == 0:
            raise ValueError(
                f'DilatedConvHead: classifier_size must be odd, got {classifier_size}.'
            )
        super().__init__(**{'dropout_ratio': 0, 'init_cfg': None, **kwargs})
        self.convs = nn.Sequential()
        for channels in [self.in_channels] + [self.channels] * (num_convs - 1):
            self.convs.append(
                nn.Conv2d(
                    channels, self.channels, 3, padding=dilation, dilation=dilation, bias=bias
                )
            )
            self.convs.append(nn.ReLU(inplace=True))
        self.conv_seg = nn.Conv2d(
            self.channels,
            self.out_channels,
            classifier_size,
            padding=dilation * (classifier_size // 2),
            dilation=dilation,
            bias=bias,
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Classify every position.

        Shapes:
            inputs: backbone outputs; the chosen one ``(N, in_channels, h, w)``.
            returns: ``(N, num_classes, h, w)`` logits.
        """
        return self.cls_seg(self.convs(self._transform_inputs(inputs)))
