"""IRN's boundary branch: where a class ends, learned without a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.models.segmentors.affinity_segmentor import AffinitySegmentor
from mmwsss.ops import path_maximum

STRIDE = 4


@MODELS.register_module()
class IRNBoundary(AffinitySegmentor):
    """Boundary branch of the inter-pixel relation network (IRN) on a frozen backbone.

    Every output of the backbone is embedded (1x1, group norm), enlarged to the grid of the first
    one (stride 4) and rectified; together they go through a 1x1 convolution to the boundary's
    logit. The affinity of two cells is 1 minus the largest boundary on the path between them.

    ``mode='tensor'`` gives ``edge_logits`` ``(N, 1, h, w)``. Predictions have ``edge``
    (1, ceil(H / 4), ceil(W / 4)), the boundary's probability from image and mirror image
    together, padding cut off.

    Source: Ahn et al., CVPR 2019, https://arxiv.org/abs/1904.05044

    Args:
        backbone: Config of the backbone; what of it is frozen is said there.
        in_channels: Channels of its outputs.
        scale_factors: What each output is enlarged by.
        embed_channels: Channels that each is reduced to.
        num_groups: Groups of the group norms.
        radius: Of the disc in which cells make pairs while training, in cells.
        **kwargs: Further arguments of :class:`AffinitySegmentor`.

    Raises:
        ValueError: ``in_channels`` and ``scale_factors`` differ in length, or ``radius`` is smaller
            than 2.
    """

    def __init__(
        self,
        backbone: dict,
        *,
        in_channels: Sequence[int] = (64, 256, 512, 1024, 2048),
        scale_factors: Sequence[int] = (1, 1, 2, 4, 4),
        embed_channels: int = 32,
        num_groups: int = 4,
        radius: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, radius=radius, **kwargs)
        if len(in_channels) != len(scale_factors):
            raise ValueError(
                'IRNBoundary: in_channels and scale_factors must have the same length, got '
                f'{len(in_channels)} and {len(scale_factors)}.'
            )
        self.scale_factors = tuple(scale_factors)
        self.embeds = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, embed_channels, 1, bias=False),
                nn.GroupNorm(num_groups, embed_channels),
            )
            for channels in in_channels
        )
        self.project = nn.Conv2d(embed_channels * len(in_channels), 1, 1)

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the boundary's logits."""
        feats = self.extract_feat(inputs)
        rows, columns = feats[0].shape[2:]
        parts = []
        for x, embed, factor in zip(feats, self.embeds, self.scale_factors, strict=True):
            x = embed(x)
            if factor > 1:
                x = F.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=True)
            # an odd side was rounded up before
            parts.append(F.relu(x[..., :rows, :columns]))
        return dict(edge_logits=self.project(torch.cat(parts, dim=1)))

    def pair_affinity(self, maps: Tensor) -> Tensor:
        """Return the affinity of all pairs from the boundary's logits, ``(N, 1, h, w)``."""
        return 1 - path_maximum(maps.sigmoid(), self.radius)

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Return the samples with ``edge``.

        The mirror image is padded on the same side as the image, as in training: group norm
        makes every logit depend on the padding.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised, padded at the right and the bottom.

        Raises:
            ValueError: the images of the batch were of different sizes.
        """
        height, width = self._image_size(inputs, data_samples)
        mirrored = F.pad(inputs[..., :width].flip(3), (0, inputs.shape[3] - width))
        logits = self._forward(torch.cat([inputs, mirrored]))['edge_logits'].float()
        logits = logits[..., : -(-height // STRIDE), : -(-width // STRIDE)]
        plain, mirrored = logits.chunk(2)
        edge = ((plain + mirrored.flip(3)) / 2).sigmoid()
        return self._write(data_samples, 'edge', edge)

    @staticmethod
    def _image_size(inputs: Tensor, data_samples: list[SegDataSample] | None) -> tuple[int, int]:
        """Return height and width of the images without their padding."""
        padded = tuple(inputs.shape[2:])
        sizes = {tuple(s.metainfo.get('img_shape', padded)[:2]) for s in data_samples or ()}
        if len(sizes) > 1:
            raise ValueError(
                f'IRNBoundary: the images of a batch must have one size, got {sorted(sizes)}: '
                'predict with batch_size=1.'
            )
        return sizes.pop() if sizes else padded
