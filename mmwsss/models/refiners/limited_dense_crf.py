"""Dense CRF with a limit on the image size."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from mmwsss.utils import limited_size

from .dense_crf import DenseCRF


@MODELS.register_module()
class LimitedDenseCRF(DenseCRF):
    """Dense CRF that refines large images at reduced size.

    The standard deviations of :class:`DenseCRF` are in pixels. Values tuned for images of 500
    pixels do not suit images of 4,000, which also take 64 times as long. Larger images and their
    probabilities are therefore downscaled to the limit and the result is upscaled.

    Args:
        max_size: Limit for the longer side in pixels.
        **kwargs: Arguments of :class:`DenseCRF`.

    Raises:
        ValueError: ``max_size`` is below 1, or see :class:`DenseCRF`.

    Example:
        >>> import torch
        >>> images = torch.zeros(1, 3, 8, 12, dtype=torch.uint8)
        >>> LimitedDenseCRF(max_size=6)(images, torch.rand(1, 2, 8, 12)).shape
        torch.Size([1, 2, 8, 12])
    """

    def __init__(self, *, max_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_size < 1:
            raise ValueError(f'LimitedDenseCRF: max_size must be at least 1, got {max_size}.')
        self.max_size = max_size

    def forward(self, images: Tensor, probs: Tensor) -> Tensor:
        """Refine the probabilities of a batch of images.

        Shapes:
            images: ``(N, 3, H, W)`` uint8 RGB.
            probs: ``(N, C, H, W)`` float, see :meth:`refine`.
            returns: ``(N, C, H, W)`` float32, sums to 1 over C.

        Raises:
            ValueError: batch size or image size do not match, or the images are not uint8.
        """
        full = tuple(images.shape[2:])
        size = limited_size(full, self.max_size)
        if size == full or probs.shape[2:] != full:
            return super().forward(images, probs)
        small_images = F.interpolate(images.float(), size, mode='bilinear', antialias=True)
        small_probs = F.interpolate(probs.float(), size, mode='bilinear', antialias=True)
        refined = super().forward(small_images.round().to(images.dtype), small_probs)
        return F.interpolate(refined, full, mode='bilinear')
