"""Head of DeepLabV2: a sum of classifiers with different fields of view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

INIT = dict(type='Normal', layer='Conv2d', std=0.01)


@MODELS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """Atrous spatial pyramid of 3x3 classifiers, the ``ASPP-L`` on ResNet.

    MMSeg's ``ASPPHead`` is that of DeepLabV3, with image pooling and a bottleneck.

    Source: Chen et al., TPAMI 2018, Sec. 3.2, https://arxiv.org/abs/1606.00915

    Args:
        num_classes: Number of classes including background.
        **kwargs: Arguments of MMSeg's ``BaseDecodeHead``.

    Raises:
        ValueError: ``dilations`` are empty or not positive.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dilations: Sequence[int] = (6, 12, 18, 24),
        **kwargs: Any,
    ) -> None:
        if not dilations or min(dilations) < 1:
            raise ValueError(
                f'DeepLabV2Head: dilations must be positive numbers, got {dilations!r}.'
            )
        kwargs = {'init_cfg': INIT, 'dropout_ratio': 0, **kwargs}
        super().__init__(in_channels, num_classes, num_classes=num_classes, **kwargs)
        # unused parameters without a gradient would stop DDP
        del self.conv_seg
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, self.out_channels, 3, padding=dilation, dilation=dilation)
            for dilation in dilations
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Classify every position.

        Shapes:
            inputs: backbone outputs; ``(N, in_channels, h, w)`` at ``in_index``.
            returns: ``(N, num_classes, h, w)`` logits.
        """
        x = self._transform_inputs(inputs)
        return sum(branch(x) for branch in self.branches)
