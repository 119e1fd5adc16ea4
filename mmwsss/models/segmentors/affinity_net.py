"""AffinityNet: features that are alike where neighbouring cells show the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.models.segmentors.affinity_segmentor import AffinitySegmentor
from mmwsss.ops import feature_affinity


@MODELS.register_module()
class AffinityNet(AffinitySegmentor):
    """AffinityNet (PSA) on ResNet38d or any backbone whose chosen outputs share one stride.

    Each output is embedded (1x1, ELU); together they go through one more 1x1 convolution and
    ELU. The affinity of two cells is ``exp(-mean |difference|)`` of their features.

    ``mode='tensor'`` gives ``features`` ``(N, D, h, w)``; predictions have them as
    ``affinity_features`` (D, h, w), on the grid of stride 8 of the image as it was padded.

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2, https://arxiv.org/abs/1803.10464

    Args:
        backbone: Config of the backbone.
        in_channels: Channels of each of its outputs that is used.
        in_indices: Their places among its outputs.
        embed_channels: Channels that each is reduced to; D is their sum.
        radius: Of the disc in which cells make pairs while training, in cells.
        **kwargs: Further arguments of :class:`AffinitySegmentor`.

    Raises:
        ValueError: the three sequences differ in length, or ``radius`` is smaller than 2.
    """

    def __init__(
        self,
        backbone: dict,
        *,
        in_channels: Sequence[int] = (512, 1024, 4096),
        in_indices: Sequence[int] = (1, 2, 3),
        embed_channels: Sequence[int] = (64, 128, 256),
        radius: int = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, radius=radius, **kwargs)
        if not len(in_channels) == len(in_indices) == len(embed_channels):
            raise ValueError(
                'AffinityNet: in_channels, in_indices and embed_channels must have the same '
                f'length, got {len(in_channels)}, {len(in_indices)} and {len(embed_channels)}.'
            )
        self.in_indices = tuple(in_indices)
        self.embeds = nn.ModuleList(
            nn.Conv2d(c, e, 1, bias=False) for c, e in zip(in_channels, embed_channels, strict=True)
        )
        channels = sum(embed_channels)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)
        for embed in self.embeds:
            nn.init.kaiming_normal_(embed.weight)
        nn.init.xavier_uniform_(self.project.weight, gain=4)

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the features of the cells."""
        feats = self.extract_feat(inputs)
        parts = [
            F.elu(embed(feats[i])) for i, embed in zip(self.in_indices, self.embeds, strict=True)
        ]
        return dict(features=F.elu(self.project(torch.cat(parts, dim=1))))

    def pair_affinity(self, maps: Tensor) -> Tensor:
        """Return the affinity of all pairs of features, ``(N, D, h, w)``."""
        return feature_affinity(maps, self.radius)

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Return the samples with ``affinity_features``.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        features = self._forward(inputs)['features'].float()
        return self._write(data_samples, 'affinity_features', features)
