"""Pixel-adaptive mask refinement, the predecessor of PAR."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor

from mmwsss.ops import pixel_adaptive_mask_weights

from .par import PAR


@MODELS.register_module()
class PAMR(PAR):
    """Pixel-adaptive mask refinement (PAMR): :class:`PAR` with different weights of the neighbours.

    Source: Araslanov and Roth, CVPR 2020, https://arxiv.org/abs/2005.08104

    Args:
        dilations: Distances of the 8 neighbours in pixels.
        softness: Softness of the kernel, in standard deviations.

    Raises:
        ValueError: ``num_iters`` or ``softness`` is not positive, or ``dilations`` are empty or
            not positive.

    Example:
        >>> import torch
        >>> images = torch.tensor([0, 0, 200, 200]).expand(1, 3, 1, 4)
        >>> cams = torch.tensor([0., 1., 0., 0.]).view(1, 1, 1, 4)
        >>> PAMR(num_iters=2, dilations=[1])(images, cams).round(decimals=2)
        tensor([[[[0.3800, 0.3900, 0.0000, 0.0000]]]])
    """

    def __init__(
        self,
        num_iters: int = 10,
        dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
        *,
        softness: float = 0.1,
    ) -> None:
        super().__init__(num_iters, dilations)
        if softness <= 0:
            raise ValueError(f'PAMR: softness must be positive, got {softness}.')
        self.softness = softness

    def weights(self, images: Tensor) -> Tensor:
        """Precompute what depends on the images only; shapes as in :meth:`PAR.weights`."""
        return pixel_adaptive_mask_weights(images, self.dilations, softness=self.softness)
