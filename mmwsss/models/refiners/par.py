"""Pixel-adaptive refinement: aligns maps with the colours of the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmwsss.ops import pixel_adaptive_refine, pixel_adaptive_weights

Sizes = Sequence[Sequence[int]]


@MODELS.register_module()
class PAR(nn.Module):
    """Pixel-adaptive refinement (PAR) of AFA; has no parameters and no gradient.

    Source: Ru et al., CVPR 2022, Sec. 3.4, https://arxiv.org/abs/2203.02664

    Args:
        num_iters: How often every map is averaged over its neighbours; AFA uses 10 on VOC and 15
            on COCO.
        dilations: Distances of the 8 neighbours in pixels.
        w1: Softness of the colour kernel, in standard deviations; None disables the kernel.
        w2: Softness of the position kernel, in standard deviations.
        w3: Weight of the position kernel; 0 disables it.

    Raises:
        ValueError: ``num_iters`` is not positive, ``dilations`` are empty or not positive, or a
            setting of a kernel is out of range.

    Example:
        >>> import torch
        >>> images = torch.tensor([0, 0, 200, 200]).expand(1, 3, 1, 4)
        >>> cams = torch.tensor([0., 1., 0., 0.]).view(1, 1, 1, 4)
        >>> PAR(num_iters=2, dilations=[1])(images, cams).round(decimals=2)
        tensor([[[[0.3900, 0.3900, 0.0000, 0.0000]]]])
    """

    def __init__(
        self,
        num_iters: int = 10,
        dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
        *,
        w1: float | None = 0.3,
        w2: float = 0.3,
        w3: float = 0.01,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if num_iters < 1:
            raise ValueError(f'{name}: num_iters must be at least 1, got {num_iters}.')
        if not dilations or min(dilations) < 1:
            raise ValueError(f'{name}: dilations must be positive, got {tuple(dilations)}.')
        if (w1 is not None and w1 <= 0) or w2 <= 0 or w3 < 0 or (w1 is None and not w3):
            raise ValueError(
                'PAR: w1 (or None) and w2 must be positive, w3 must not be negative, and at least '
                f'one kernel must be enabled, got {w1}, {w2} and {w3}.'
            )
        self.num_iters = num_iters
        self.dilations = tuple(dilations)
        self.w1, self.w2, self.w3 = w1, w2, w3

    def weights(self, images: Tensor) -> Tensor:
        """Precompute what depends on the images only, for :meth:`refine`.

        Shapes:
            images: ``(N, 3, H, W)`` RGB, uint8 or float on any scale.
            returns: ``(N, 8 * len(dilations), H, W)`` float32.
        """
        return pixel_adaptive_weights(images, self.dilations, w1=self.w1, w2=self.w2, w3=self.w3)

    def refine(self, weights: Tensor, cams: Tensor, sizes: Sizes | None = None) -> Tensor:
        """Resize maps to their images and refine them with the weights of :meth:`weights`.

        Args:
            sizes: Sizes of padded images, see :func:`~mmwsss.ops.pixel_adaptive_refine`.

        Shapes:
            weights: ``(N, 8 * len(dilations), H, W)`` float32.
            cams: ``(N, C, h, w)`` float, commonly scores of background and classes.
            returns: ``(N, C, H, W)`` float32.
        """
        size = weights.shape[2:]
        if cams.shape[2:] != size:
            cams = F.interpolate(cams.float(), size, mode='bilinear', align_corners=True)
        return pixel_adaptive_refine(
            cams, weights, self.dilations, num_iters=self.num_iters, sizes=sizes
        )

    def forward(self, images: Tensor, cams: Tensor, sizes: Sizes | None = None) -> Tensor:
        """Refine the maps of a batch of images.

        Args:
            sizes: Sizes of padded images, whose border must be repeated in the padding.

        Shapes:
            images: ``(N, 3, H, W)`` RGB, uint8 or float on any scale.
            cams: ``(N, C, h, w)`` float.
            returns: ``(N, C, H, W)`` float32.
        """
        return self.refine(self.weights(images), cams, sizes)
