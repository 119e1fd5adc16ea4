"""Pixel correlation: averages maps over pixels with similar features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmwsss.ops import pixel_correlation

EPS = 1e-5


def unit_keys(keys: Tensor) -> Tensor:
    """Normalise the vector of each pixel to unit length; ``(N, D, P)`` float."""
    return keys / (torch.linalg.vector_norm(keys, dim=1, keepdim=True) + EPS)


def average_similar(keys: Tensor, cams: Tensor, max_elements: int) -> Tensor:
    """Average maps ``(N, C, h, w)`` over pixels with similar ``keys`` ``(N, D, h * w)``."""
    with torch.autocast(cams.device.type, enabled=False):
        out = pixel_correlation(keys, cams.float().flatten(2), max_elements=max_elements)
    return out.unflatten(2, cams.shape[2:])


@MODELS.register_module()
class PixelCorrelation(BaseModule):
    """Pixel correlation module (PCM) of SEAM.

    The image and embedded shallow features are projected to one vector per pixel, and maps are
    averaged over pixels with similar vectors. The features are detached, so only the maps and
    the convolutions of this module get a gradient.

    Source: Wang et al., CVPR 2020, Sec. 3.4, https://arxiv.org/abs/2004.04581

    Args:
        in_channels: Channels of the feature maps to use.
        in_indices: Indices of these feature maps.
        embed_channels: Channels that each feature map is reduced to.
        channels: Length of the vector of a pixel.
        max_elements: Limit on memory, see :func:`mmwsss.ops.pixel_correlation`.

    Raises:
        ValueError: the three sequences differ in length.

    Example:
        >>> pcm = PixelCorrelation([4, 8], [0, 1], embed_channels=[2, 3], channels=5)
        >>> feats = [torch.rand(1, 4, 8, 8), torch.rand(1, 8, 4, 4)]
        >>> cams = torch.full((1, 2, 4, 4), 0.5)
        >>> pcm(torch.rand(1, 3, 32, 32), cams, feats).shape
        torch.Size([1, 2, 4, 4])
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (512, 1024),
        in_indices: Sequence[int] = (1, 2),
        *,
        embed_channels: Sequence[int] = (64, 128),
        channels: int = 192,
        max_elements: int = 2**27,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not len(in_channels) == len(in_indices) == len(embed_channels):
            raise ValueError(
                'PixelCorrelation: in_channels, in_indices and embed_channels must have the '
                f'same length, got {len(in_channels)}, {len(in_indices)} and '
                f'{len(embed_channels)}.'
            )
        self.in_indices = tuple(in_indices)
        self.max_elements = max_elements
        self.embeds = nn.ModuleList(
            nn.Conv2d(c, e, 1, bias=False) for c, e in zip(in_channels, embed_channels, strict=True)
        )
        self.project = nn.Conv2d(3 + sum(embed_channels), channels, 1, bias=False)
        for embed in self.embeds:
            nn.init.kaiming_normal_(embed.weight)
        nn.init.xavier_uniform_(self.project.weight, gain=4)

    def keys(self, images: Tensor, feats: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Return the unit vector of every pixel.

        Shapes:
            images: ``(N, 3, H, W)`` float, normalised.
            feats: feature maps ``(N, C, h', w')`` each.
            returns: ``(N, channels, h * w)`` for ``size = (h, w)``.
        """
        parts = [images]
        for index, embed in zip(self.in_indices, self.embeds, strict=True):
            parts.append(F.relu(embed(feats[index].detach())))
        parts = [
            F.interpolate(x, size, mode='bilinear', align_corners=True)
            if x.shape[2:] != tuple(size)
            else x
            for x in parts
        ]
        keys = self.project(torch.cat([x.to(parts[-1].dtype) for x in parts], dim=1))
        # half precision cannot distinguish neighbouring pixels
        return unit_keys(keys.flatten(2).float())

    def forward(self, images: Tensor, cams: Tensor, feats: Sequence[Tensor]) -> Tensor:
        """Refine maps.

        Shapes:
            images: ``(N, 3, H, W)`` float, normalised.
            cams: ``(N, C, h, w)`` float, commonly in [0, 1]; see
                :func:`mmwsss.ops.keep_maximum`.
            feats: feature maps of the image, any strides.
            returns: ``(N, C, h, w)`` float32.
        """
        return average_similar(self.keys(images, feats, cams.shape[2:]), cams, self.max_elements)
