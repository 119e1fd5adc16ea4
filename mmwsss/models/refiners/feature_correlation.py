"""Pixel correlation by features that are there anyway."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from .pixel_correlation import average_similar, unit_keys


@MODELS.register_module()
class FeatureCorrelation(BaseModule):
    """Pixel correlation by the backbone's own features: PCM with nothing to train.

    Each pixel's vector joins its features of several depths, each of unit length. What the
    whole image shares is subtracted, so that pixels which differ from it in opposite ways are
    not alike. Maps are averaged over the pixels whose vectors are similar. The gradient reaches
    the maps alone.

    It differs from :class:`PixelCorrelation` (Wang et al., CVPR 2020, Sec. 3.4,
    https://arxiv.org/abs/2004.04581) in that features are neither embedded nor joined with the
    image, and are centred.

    Args:
        in_indices: Which of the features that ``forward`` gets are used.
        max_elements: Most affinities held at one time, over the batch; see
            :func:`mmwsss.ops.pixel_correlation`.
    """

    def __init__(self, in_indices: Sequence[int] = (0, 1, 2), *, max_elements: int = 2**27) -> None:
        super().__init__()
        self.in_indices = tuple(in_indices)
        self.max_elements = max_elements

    def keys(self, feats: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Return the unit vector of every pixel.

        Shapes:
            feats: feature maps ``(N, C, h', w')`` each.
            returns: ``(N, sum of C, h * w)`` float32 for ``size = (h, w)``.
        """
        parts = []
        for index in self.in_indices:
            x = feats[index].detach().float()
            if x.shape[2] > size[0]:
                x = F.adaptive_avg_pool2d(x, tuple(size))
            elif x.shape[2:] != tuple(size):
                x = F.interpolate(x, tuple(size), mode='bilinear', align_corners=False)
            parts.append(unit_keys(x.flatten(2)))
        keys = torch.cat(parts, dim=1)
        # a single pixel is the whole image: without its mean nothing would be left
        return unit_keys(keys - keys.mean(dim=2, keepdim=True) if keys.shape[2] > 1 else keys)

    def forward(self, images: Tensor, cams: Tensor, feats: Sequence[Tensor]) -> Tensor:
        """Refine maps.

        Shapes:
            images: ``(N, 3, H, W)``; not used.
            cams: ``(N, C, h, w)`` float, not negative.
            feats: feature maps of the image, any strides.
            returns: ``(N, C, h, w)`` float32.
        """
        return average_similar(self.keys(feats, cams.shape[2:]), cams, self.max_elements)
