"""Pixel-adaptive refinement: maps made to follow the colours of the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmwsss.ops import pixel_adaptive_refine, pixel_adaptive_weights


@MODELS.register_module()
class PAR(nn.Module):
    """Pixel-adaptive refinement (PAR) of AFA: no parameters, no gradient.

    Source: Ru et al., CVPR 2022, Sec. 3.4, https://arxiv.org/abs/2203.02664

    Args:
        num_iters: How often every map is averaged over its neighbours; 10 on VOC, 15 on COCO.
        dilations: Distances in pixels at which the 8 neighbours are taken.

    Raises:
        ValueError: ``num_iters`` is not positive, or ``dilations`` are none or not positive.
    """

    def __init__(
        self, num_iters: int = 10, dilations: Sequence[int] = (1, 2, 4, 8, 12, 24)
    ) -> None:
        super().__init__()
        if num_iters < 1:
            raise ValueError(f'PAR: num_iters must be at least 1, got {num_iters}.')
        if not dilations or min(dilations) < 1:
            raise ValueError(f'PAR: dilations must be positive, got {tuple(dilations)}.')
        self.num_iters = num_iters
        self.dilations = tuple(dilations)

    def weights(self, images: Tensor) -> Tensor:
        """Return what depends on the images alone, for :meth:`refine`.

        Shapes:
            images: ``(N, 3, H, W)`` float RGB in [0, 1].
            returns: ``(N, 8 * len(dilations), H, W)`` float32.
        """
        return pixel_adaptive_weights(images, self.dilations)

    def refine(self, weights: Tensor, cams: Tensor) -> Tensor:
        """Refine maps with the weights of their images, resized to them first.

        Shapes:
            weights: ``(N, 8 * len(dilations), H, W)`` of :meth:`weights`.
            cams: ``(N, C, h, w)`` float, commonly scores with the background's.
            returns: ``(N, C, H, W)`` float32.
        """
        size = weights.shape[2:]
        if cams.shape[2:] != size:
            cams = F.interpolate(cams.float(), size, mode='bilinear', align_corners=True)
        return pixel_adaptive_refine(cams, weights, self.dilations, num_iters=self.num_iters)

    def forward(self, images: Tensor, cams: Tensor) -> Tensor:
        """Refine the maps of a batch of images.

        Shapes:
            images: ``(N, 3, H, W)`` float RGB in [0, 1].
            cams: ``(N, C, h, w)`` float.
            returns: ``(N, C, H, W)`` float32.
        """
        return self.refine(self.weights(images), cams)
