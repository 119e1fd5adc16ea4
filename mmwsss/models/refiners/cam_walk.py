"""Random walk for maps at image size: resize to the grid of the affinities, walk, resize back."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from mmwsss.models.refiners.random_walk import RandomWalk
from mmwsss.ops import background_score

# fields of the predictions of AffinityNet and IRN
GUIDE_KEYS = dict(features='affinity_features', boundary='edge')
EPS = 1e-10


@MODELS.register_module()
class CAMWalk(RandomWalk):
    """Random walk for normalised maps at image size.

    With ``bg_alpha`` (AffinityNet), a background map ``(1 - max)^alpha`` is added, with
    ``bg_score`` (MCTformer) a constant one; all maps are averaged over the pixels of each cell.
    After the walk, each map is divided by the sum of the largest map and the background of its
    pixel. A class thus beats the background where it exceeds 0.5, and the background score
    ``dict(alpha=1)``, i.e. ``1 - max``, is the walked background. Without either (IRN), the maps
    are resized to the grid, walk alone and are divided by their overall maximum.

    Source: Ahn and Kwak, CVPR 2018, https://arxiv.org/abs/1803.10464; Ahn et al., CVPR 2019,
    https://arxiv.org/abs/1904.05044; the normalisation is that of the published code.

    Args:
        stride: Width of a cell of the guide in pixels.
        bg_alpha: Exponent of the background score.
        bg_score: Constant background score.
        **kwargs: Arguments of :class:`RandomWalk`.

    Raises:
        ValueError: ``stride``, ``bg_alpha`` or ``bg_score`` is not positive, or both scores are
            given.

    Example:
        >>> walk = CAMWalk(stride=4, bg_alpha=2.0, beta=8, num_steps=2)
        >>> walk(None, torch.ones(1, 2, 8, 10), torch.zeros(1, 5, 2, 3))[0, :, 0, 0]
        tensor([1., 1.])
    """

    def __init__(
        self,
        stride: int,
        *,
        bg_alpha: float | None = None,
        bg_score: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if stride < 1 or (bg_alpha is not None and bg_alpha <= 0):
            raise ValueError(
                'CAMWalk: stride must be at least 1 and bg_alpha positive or None, got '
                f'{stride} and {bg_alpha}.'
            )
        if bg_score is not None and (bg_score <= 0 or bg_alpha is not None):
            raise ValueError(
                'CAMWalk: bg_score must be positive or None, and None with bg_alpha, got '
                f'{bg_score} and {bg_alpha}.'
            )
        self.stride = stride
        self.bg_alpha, self.bg_score = bg_alpha, bg_score

    @property
    def guide_key(self) -> str:
        """Field of a predicted sample that holds the guide."""
        return GUIDE_KEYS[self.affinity]

    @torch.no_grad()
    def forward(self, images: Tensor | None, cams: Tensor, guide: Tensor) -> Tensor:
        """Refine the maps of a batch of images.

        Shapes:
            images: ignored.
            cams: ``(N, n, H, W)`` float, normalised; negative values count as 0.
            guide: ``(N, D, h, w)`` features or ``(N, 1, h, w)`` boundary probabilities of the
                images, which may be padded at the right and the bottom.
            returns: ``(N, n, H, W)`` float32 in [0, 1].

        Raises:
            ValueError: the guide does not cover the maps, or see :class:`RandomWalk`.
        """
        size = tuple(n * self.stride for n in guide.shape[2:])
        margin = [grid - n for grid, n in zip(size, cams.shape[2:], strict=True)]
        if min(margin) < 0:
            raise ValueError(
                f'CAMWalk: a guide of {tuple(guide.shape[2:])} cells of {self.stride} pixels does '
                f'not cover maps of {tuple(cams.shape[2:])} pixels: give that of the same image.'
            )
        cams = cams.float().clamp(0, 1)
        if not cams.shape[1]:
            return cams
        if self.bg_alpha is None and self.bg_score is None:
            cells = F.interpolate(cams, guide.shape[2:], mode='bilinear')
            walked = self._to_image(super().forward(images, cells, guide), cams)
            return walked / walked.amax(dim=(1, 2, 3), keepdim=True).clamp(min=EPS)
        bg_score = dict(alpha=self.bg_alpha) if self.bg_score is None else self.bg_score
        scores = torch.cat([background_score(cams, bg_score), cams], dim=1)
        # zeros for the background, too: a cell at the border is as weak as it is narrow
        cells = F.avg_pool2d(F.pad(scores, (0, margin[1], 0, margin[0])), self.stride)
        walked = self._to_image(super().forward(images, cells, guide), cams)
        background, walked = walked[:, :1], walked[:, 1:]
        return walked / (walked.amax(dim=1, keepdim=True) + background).clamp(min=EPS)

    def _to_image(self, cells: Tensor, cams: Tensor) -> Tensor:
        """Resize walked maps from the grid to the pixels of the image."""
        maps = F.interpolate(cells, scale_factor=self.stride, mode='bilinear')
        # the Chebyshev expansion of the walk may give values slightly below 0
        return maps[..., : cams.shape[2], : cams.shape[3]].clamp(min=0)
