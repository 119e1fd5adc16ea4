"""Wide ResNet-38 (A1) at output stride 8, the backbone of SEAM and AffinityNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from mmcv.cnn import build_conv_layer, build_norm_layer
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn


class _Stage(NamedTuple):
    """Architecture of one stage; channels are those at width 1."""

    channels: tuple[int, ...]  # output of every convolution of a block
    stride: int = 1


_STAGES = (
    _Stage((128, 128), stride=2),
    _Stage((256, 256), stride=2),
    _Stage((512, 512), stride=2),
    _Stage((512, 1024)),
    _Stage((512, 1024, 2048)),
    _Stage((1024, 2048, 4096)),
)


class PreActivationBlock(nn.Module):
    """Pre-activation residual block: norm and ReLU precede each convolution.

    Two convolutions form a basic block (3x3, 3x3), three a bottleneck (1x1, 3x3, 1x1). Only
    bottlenecks use the channel dropout, before their second and third convolution. A projection
    shortcut takes the activated input, an identity shortcut the raw input.

    Args:
        channels: Output channels of each convolution, two or three.
        stride: Stride of the first convolution and of the shortcut.
        dilation: Dilation of the 3x3 convolutions.
        first_dilation: Dilation of the first convolution of a basic block.
        dropout: Dropout probability of a channel.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        *,
        stride: int = 1,
        dilation: int = 1,
        first_dilation: int = 1,
        dropout: float = 0.0,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        bottleneck = len(channels) == 3
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        dilations = (1, dilation, 1) if bottleneck else (first_dilation, dilation)
        self.num_convs = len(channels)
        self.stride = stride
        widths = (in_channels, *channels)
        for i, (kernel, rate) in enumerate(zip(kernels, dilations, strict=True)):
            conv = build_conv_layer(
                None,
                widths[i],
                widths[i + 1],
                kernel,
                stride=stride if i == 0 else 1,
                padding=rate * (kernel // 2),
                dilation=rate,
                bias=False,
            )
            self.add_module(f'norm{i + 1}', build_norm_layer(norm_cfg, widths[i])[1])
            self.add_module(f'conv{i + 1}', conv)
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()
        self.shortcut = None
        if stride != 1 or in_channels != channels[-1]:
            self.shortcut = build_conv_layer(None, in_channels, channels[-1], 1, bias=False)

    def activate(self, x: Tensor) -> Tensor:
        """Return ReLU(norm(x)), the input of the first convolution and an output of ResNet38d."""
        return F.relu(self.norm1(x), inplace=True)

    def forward(self, x: Tensor, activated: Tensor | None = None) -> Tensor:
        """Return the output of the block; ``activated`` avoids computing ``activate(x)`` again."""
        if activated is None:
            activated = self.activate(x)
        shortcut = x
        if self.shortcut is not None:
            # subsample before the convolution, because the backward pass of a strided 1x1
            # convolution of few channels crashes torch 2.13 on CPUs with channels-last memory
            shortcut = self.shortcut(activated[..., :: self.stride, :: self.stride])
        x = self.conv1(activated)
        for i in range(2, self.num_convs + 1):
            x = F.relu(getattr(self, f'norm{i}')(x), inplace=True)
            x = getattr(self, f'conv{i}')(self.dropout(x))
        return x + shortcut


@MODELS.register_module()
class ResNet38d(BaseModule):
    """Wide ResNet-38 (A1) with output stride 8.

    Source: Wu et al., 2016, https://arxiv.org/abs/1611.10080; dilations and dropout as in
    Ahn and Kwak, CVPR 2018, https://arxiv.org/abs/1803.10464

    The four outputs are the activated inputs of the stages b4, b5 and b6 (conv3, conv4, conv5:
    256, 512 and 1024 channels at strides 4, 8 and 8) and the final activation (conv6: 4096
    channels at stride 8).

    Args:
        width: Factor of all channels.
        depths: Number of blocks of the stages b2 to b7.
        dilations: Dilations of the 3x3 convolutions of b5, b6 and b7; the first convolution of b5
            is not dilated.
        dropouts: Dropout probabilities of a channel in b6 and b7.
        out_indices: Indices of the outputs to return.
        frozen_stages: -1 trains everything, 0 freezes the stem, n the stem and the first n
            stages. Frozen stages store no activations for the backward pass.
        norm_cfg: Config of the norm layers; ``requires_grad=False`` freezes their affine part.
        norm_eval: Use the running statistics of batch norm in training as well.

    Shapes:
        input: ``(N, 3, H, W)`` float.
        returns: tuple of ``(N, C, ceil(H / s), ceil(W / s))``.

    Raises:
        ValueError: an argument has the wrong length or is out of range.
    """

    def __init__(
        self,
        width: float = 1.0,
        depths: Sequence[int] = (3, 3, 6, 3, 1, 1),
        *,
        dilations: Sequence[int] = (2, 4, 4),
        dropouts: Sequence[float] = (0.3, 0.5),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = 1,
        norm_cfg: dict | None = None,
        norm_eval: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self._check(depths, dilations, dropouts, out_indices, frozen_stages)
        norm_cfg = norm_cfg or dict(type='BN', requires_grad=False)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        channels = round(64 * width)
        self.conv1 = build_conv_layer(None, 3, channels, 3, padding=1, bias=False)
        self.stages = nn.ModuleList()
        rates = (1, 1, 1, *dilations)
        drops = (0.0, 0.0, 0.0, 0.0, *dropouts)
        for stage, depth, rate, drop in zip(_STAGES, depths, rates, drops, strict=True):
            widths = tuple(round(c * width) for c in stage.channels)
            blocks = nn.Sequential()
            for i in range(depth):
                block = PreActivationBlock(
                    channels,
                    widths,
                    stride=stage.stride if i == 0 else 1,
                    dilation=rate,
                    first_dilation=1 if i == 0 else rate,
                    dropout=drop,
                    norm_cfg=norm_cfg,
                )
                channels = widths[-1]
                blocks.append(block)
            self.stages.append(blocks)
        self.norm = build_norm_layer(norm_cfg, channels)[1]
        self._freeze()

    @staticmethod
    def _check(
        depths: Sequence[int],
        dilations: Sequence[int],
        dropouts: Sequence[float],
        out_indices: Sequence[int],
        frozen_stages: int,
    ) -> None:
        if len(depths) != len(_STAGES) or min(depths) < 1:
            raise ValueError(
                f'ResNet38d: depths must be {len(_STAGES)} positive numbers, got {depths}.'
            )
        if len(dilations) != 3 or len(dropouts) != 2:
            raise ValueError(
                'ResNet38d: dilations must be three numbers and dropouts two, got '
                f'{dilations} and {dropouts}.'
            )
        if not out_indices or not set(out_indices) <= {0, 1, 2, 3}:
            raise ValueError(f'ResNet38d: out_indices must be among 0 to 3, got {out_indices}.')
        if not -1 <= frozen_stages <= len(_STAGES):
            raise ValueError(
                f'ResNet38d: frozen_stages must lie in -1 to {len(_STAGES)}, got {frozen_stages}.'
            )

    def _freeze(self) -> None:
        """Freeze the parameters of the frozen stages."""
        if self.frozen_stages >= 0:
            for module in (self.conv1, *self.stages[: self.frozen_stages]):
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> ResNet38d:
        """Set the mode; frozen stages and, with ``norm_eval``, all norms stay in eval mode."""
        super().train(mode)
        if mode:
            self._freeze()
            for stage in self.stages[: max(self.frozen_stages, 0)]:
                stage.eval()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.eval()
        return self

    def _run(self, stage: nn.Sequential, x: Tensor, activated: Tensor) -> Tensor:
        x = stage[0](x, activated)
        for block in stage[1:]:
            x = block(x)
        return x

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of ``out_indices``, shallow to deep."""
        outputs = []
        x = self.conv1(x)
        for i, stage in enumerate(self.stages):
            activated = stage[0].activate(x)
            if i in (2, 3, 4) and i - 2 in self.out_indices:
                outputs.append(activated)
            x = self._run(stage, x, activated)
        if 3 in self.out_indices:
            outputs.append(F.relu(self.norm(x), inplace=True))
        return tuple(outputs)
