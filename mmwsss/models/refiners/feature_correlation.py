"""Pixel correlation with the features of the backbone."""

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
    """Pixel correlation with the features of the backbone: a PCM without parameters.

    The vector of a pixel concatenates its unit-length features of several depths. The mean over
    the image is subtracted, so pixels that deviate from it in opposite directions are not
    similar. Maps are averaged over pixels with similar vectors. Only the maps get a gradient.

    Unlike :class:`PixelCorrelation` (Wang et al., CVPR 2020, Sec. 3.4,
    https://arxiv.org/abs/2004.04581), features are centred and neither embedded nor concatenated
    with the image.

    Args:
        in_indices: Indices of the features to use.
        max_elements: Limit on memory, see :func:`mmwsss.ops.pixel_correlation`.

    Example:
        >>> feats = [torch.tensor([[[[1., 1., 0.]], [[0., 0., 1.]]]])]  # two pixels are equal
        >>> cams = torch.tensor([1., 0., .2]).view(1, 1, 1, 3)
        >>> FeatureCorrelation([0])(None, cams, feats).round(decimals=2)
        tensor([[[[0.5000, 0.5000, 0.2000]]]])
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
        # a single pixel would become 0
        return unit_keys(keys - keys.mean(dim=2, keepdim=True) if keys.shape[2] > 1 else keys)

    def forward(self, images: Tensor, cams: Tensor, feats: Sequence[Tensor]) -> Tensor:
        """Refine maps.

        Shapes:
            images: ignored.
            cams: ``(N, C, h, w)`` float, not negative.
            feats: feature maps of the image, any strides.
            returns: ``(N, C, h, w)`` float32.
        """
        return average_similar(self.keys(feats, cams.shape[2:]), cams, self.max_elements)
