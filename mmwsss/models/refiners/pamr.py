"""Pixel-adaptive mask refinement, which PAR was made of."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor

from mmwsss.ops import pixel_adaptive_mask_weights

from .par import PAR


@MODELS.register_module()
class PAMR(PAR):
    """Pixel-adaptive mask refinement (PAMR): no parameters, no gradient.

    Called as :class:`PAR` is; the weights of the neighbours are others.

    Source: Araslanov and Roth, CVPR 2020, https://arxiv.org/abs/2005.08104

    Args:
        num_iters: How often every map is averaged over its neighbours.
        dilations: Distances in pixels at which the 8 neighbours are taken.
        softness: Of the kernel, in standard deviations.

    Raises:
        ValueError: ``num_iters`` or ``softness`` is not positive, or ``dilations`` are none or
            not positive.
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
        """Return what depends on the images alone, for :meth:`refine`.

        Shapes:
            images: ``(N, 3, H, W)`` float RGB.
            returns: ``(N, 8 * len(dilations), H, W)`` float32.
        """
        return pixel_adaptive_mask_weights(images, self.dilations, softness=self.softness)
