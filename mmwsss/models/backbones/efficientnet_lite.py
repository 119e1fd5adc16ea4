"""EfficientNet-Lite, a small convolutional backbone."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

STEM_CHANNELS, HEAD_CHANNELS = 32, 1280
OUTPUT_STRIDES = (8, 16, 32)
# multipliers of channels and depths; not for stem, head and the depth of the first and last stage
VARIANTS = dict(lite0=(1.0, 1.0), lite1=(1.0, 1.1), lite2=(1.1, 1.2))


class _Stage(NamedTuple):
    """Architecture of one stage; depth and channels are those of lite0."""

    depth: int
    kernel: int
    stride: int
    channels: int
    expansion: int = 6


_STAGES = (
    _Stage(1, 3, 1, 16, expansion=1),
    _Stage(2, 3, 2, 24),
    _Stage(2, 5, 2, 40),
    _Stage(3, 3, 2, 80),
    _Stage(3, 5, 1, 112),
    _Stage(4, 5, 2, 192),
    _Stage(1, 3, 1, 320),
)
# the last stage at each stride, and the final stage
_OUTPUT_STAGES = (0, 1, 2, 4, 6)


def _rounded(channels: float) -> int:
    """Round to a multiple of 8, but not below 90 % of the number."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class InvertedBottleneck(nn.Module):
    """Expansion, depthwise convolution and linear projection, with a shortcut if shapes agree.

    ``kernel``, ``stride`` and ``dilation`` apply to the depthwise convolution.

    Args:
        expansion: Factor of the channels in between; 1 omits the expansion.
        layer: Arguments of ``ConvModule``: configs of convolution, norm and activation.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        kernel: int,
        stride: int,
        dilation: int,
        expansion: int,
        layer: dict,
    ) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.expand = ConvModule(in_channels, inner, 1, **layer) if expansion > 1 else None
        self.depthwise = ConvModule(
            inner, inner, kernel, stride=stride, dilation=dilation, groups=inner, **layer
        )
        self.project = ConvModule(inner, channels, 1, **{**layer, 'act_cfg': None})
        self.with_shortcut = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block."""
        out = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(out))
        return x + out if self.with_shortcut else out


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite: EfficientNet without squeeze-and-excitation, with ReLU6 instead of swish.

    Source: Tan and Le, ICML 2019, https://arxiv.org/abs/1905.11946; the Lite variants are those
    of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite

    This is a separate implementation because timm needs a torchvision built for the same PyTorch
    and a hub for the weights, and MMPretrain's EfficientNet has neither Lite variants nor
    dilation.

    Convolutions use TensorFlow's ``SAME`` padding, as the pretrained weights expect: at stride 2
    and even sides, the bottom and the right get one more row of padding than the top and the left.

    The six outputs are the last maps at strides 2, 4, 8, 16 and 32 (16, 24, 40, 112 and 320
    channels, more for lite2) and those of the final 1x1 convolution (1,280 channels), which the
    ImageNet classifier pools. With an ``output_stride`` below 32, deeper stages are dilated
    instead of strided, and their outputs have that stride.

    Args:
        variant: ``lite0``, ``lite1`` or ``lite2``.
        output_stride: 8, 16 or 32.
        out_indices: Indices of the outputs to return.
        frozen_stages: -1 trains everything, 0 freezes the stem, n the stem and the first n of 7
            stages, 8 everything including the final convolution.
        norm_cfg: Config of the norm layers; ``requires_grad=False`` freezes their affine part.
        norm_eval: Use the running statistics of batch norm in training as well.
        init_cfg: Pretrained weights, such as ``mmwsss://efficientnet-lite0``.

    Shapes:
        input: ``(N, 3, H, W)`` float.
        returns: tuple of ``(N, C, ceil(H / s), ceil(W / s))``.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        variant: str = 'lite0',
        *,
        output_stride: int = 32,
        out_indices: Sequence[int] = (0, 1, 2, 3, 4, 5),
        frozen_stages: int = -1,
        norm_cfg: dict | None = None,
        norm_eval: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self._check(variant, output_stride, out_indices, frozen_stages)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        layer = dict(
            conv_cfg=dict(type='Conv2dAdaptivePadding'),
            norm_cfg=dict(eps=1e-3, momentum=0.01) | (norm_cfg or dict(type='BN')),
            act_cfg=dict(type='ReLU6'),
        )
        self.stem = ConvModule(3, STEM_CHANNELS, 3, stride=2, **layer)
        self.stages = nn.ModuleList()
        width, depth = VARIANTS[variant]
        channels, stride, dilation = STEM_CHANNELS, 2, 1
        for i, stage in enumerate(_STAGES):
            scaled = 0 < i < len(_STAGES) - 1
            blocks = nn.Sequential()
            for j in range(ceil(stage.depth * depth) if scaled else stage.depth):
                step = stage.stride if j == 0 else 1
                rate = dilation
                if step * stride > output_stride:
                    # this block still sees the undilated grid, only the following ones are dilated
                    step, dilation = 1, dilation * stage.stride
                stride *= step
                blocks.append(
                    InvertedBottleneck(
                        channels,
                        _rounded(stage.channels * width),
                        kernel=stage.kernel,
                        stride=step,
                        dilation=rate,
                        expansion=stage.expansion,
                        layer=layer,
                    )
                )
                channels = _rounded(stage.channels * width)
            self.stages.append(blocks)
        self.head = ConvModule(channels, HEAD_CHANNELS, 1, **layer)
        self._freeze()

    @staticmethod
    def _check(
        variant: str, output_stride: int, out_indices: Sequence[int], frozen_stages: int
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(
                f'EfficientNetLite: variant must be one of {", ".join(VARIANTS)}, got {variant!r}.'
            )
        if output_stride not in OUTPUT_STRIDES:
            raise ValueError(
                f'EfficientNetLite: output_stride must be 8, 16 or 32, got {output_stride!r}.'
            )
        if not out_indices or not set(out_indices) <= set(range(6)):
            raise ValueError(
                f'EfficientNetLite: out_indices must be among 0 to 5, got {out_indices}.'
            )
        if not -1 <= frozen_stages <= len(_STAGES) + 1:
            raise ValueError(
                f'EfficientNetLite: frozen_stages must lie in -1 to {len(_STAGES) + 1}, '
                f'got {frozen_stages}.'
            )

    def _freeze(self) -> None:
        """Freeze the parameters and the norms of the frozen stages."""
        if self.frozen_stages >= 0:
            for module in (self.stem, *self.stages, self.head)[: self.frozen_stages + 1]:
                module.eval()
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Set the mode; frozen stages and, with ``norm_eval``, all norms stay in eval mode."""
        super().train(mode)
        if mode:
            self._freeze()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of ``out_indices``, shallow to deep."""
        outputs = {}
        # this layout makes depthwise convolutions and their gradients twice as fast on CPUs
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in _OUTPUT_STAGES:
                outputs[_OUTPUT_STAGES.index(i)] = x
        if 5 in self.out_indices:
            outputs[5] = self.head(x)
        return tuple(outputs[i] for i in sorted(self.out_indices))
