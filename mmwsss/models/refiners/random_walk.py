"""Random walk of class activation maps along the affinities of AffinityNet or IRN."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmwsss.ops import feature_affinity, path_maximum, random_walk

Affinity = Literal['features', 'boundary']
Pairs = Literal['all', 'published', 'inner']


@MODELS.register_module()
class RandomWalk(nn.Module):
    """Random walk that spreads maps within objects, guided by the output of a network.

    With ``affinity='features'`` (AffinityNet), the affinity of two cells is
    ``exp(-mean |difference|)`` of their features. With ``affinity='boundary'`` (IRN), it is 1
    minus the largest boundary probability on the path between them, and the walk starts from
    ``cams * (1 - boundary)``. Has no parameters and no gradient.

    Source: Ahn and Kwak, CVPR 2018, https://arxiv.org/abs/1803.10464; Ahn et al., CVPR 2019,
    https://arxiv.org/abs/1904.05044

    Args:
        beta: Exponent applied to every affinity; larger values suppress weak links.
        affinity: Kind of guide that :meth:`forward` gets.
        pairs: ``'all'``, or ``'published'`` for the pairs of AffinityNet's published code: it
            only pairs cells that have a partner in every direction, so some border cells have no
            pairs, and uses a smaller radius on maps with a side below 11 cells. ``'inner'`` uses
            the same pairs without changing the radius, like MCTformer's code.
        radius: Radius of the disc of partners, in cells.

    Raises:
        ValueError: an argument is out of range, or ``pairs`` is not ``'all'`` with
            ``affinity='boundary'``, for which the published code uses all pairs.

    Example:
        >>> features = torch.tensor([0., 0., 9., 9.]).view(1, 1, 1, 4)
        >>> cams = torch.tensor([1., 0., 0., 0.]).view(1, 1, 1, 4)
        >>> RandomWalk(beta=8, num_steps=4, radius=2)(None, cams, features).round(decimals=2)
        tensor([[[[0.5000, 0.5000, 0.0000, 0.0000]]]])
    """

    def __init__(
        self,
        beta: float,
        num_steps: int,
        *,
        affinity: Affinity = 'features',
        pairs: Pairs = 'all',
        radius: int = 5,
    ) -> None:
        super().__init__()
        if beta <= 0 or num_steps < 0 or radius < 2:
            raise ValueError(
                'RandomWalk: beta must be positive, num_steps not negative and radius at least '
                f'2, got {beta}, {num_steps} and {radius}.'
            )
        if affinity not in get_args(Affinity) or pairs not in get_args(Pairs):
            raise ValueError(
                f'RandomWalk: affinity must be one of {get_args(Affinity)} and pairs one of '
                f'{get_args(Pairs)}, got {affinity!r} and {pairs!r}.'
            )
        if affinity == 'boundary' and pairs != 'all':
            raise ValueError(
                f"RandomWalk: pairs={pairs!r} is AffinityNet's list; the published walk along "
                "boundaries uses all pairs, so set pairs='all'."
            )
        self.beta = beta
        self.num_steps = num_steps
        self.affinity = affinity
        self.pairs = pairs
        self.radius = radius

    def _affinities(self, guide: Tensor, radius: int) -> Tensor:
        """Return ``(N, n, h, w)``; the walk ignores pairs that leave the map."""
        border = (radius - 1, radius - 1, 0, radius - 1)
        if self.affinity == 'boundary':
            return 1 - path_maximum(F.pad(guide, border), radius)
        if self.pairs == 'all':
            return feature_affinity(F.pad(guide, border), radius)
        return F.pad(feature_affinity(guide, radius), border)

    @torch.no_grad()
    def forward(self, images: Tensor | None, cams: Tensor, guide: Tensor) -> Tensor:
        """Refine the maps of a batch of images.

        Shapes:
            images: ignored.
            cams: ``(N, C, h, w)`` float.
            guide: ``(N, D, h, w)`` features, or ``(N, 1, h, w)`` boundary probabilities.
            returns: ``(N, C, h, w)`` float32.

        Raises:
            ValueError: the guide and the maps differ in size, or a boundary does not have exactly
                one channel.
        """
        channels = guide.shape[1:2] if self.affinity == 'features' else (1,)
        if cams.ndim != 4 or guide.shape != (len(cams), *channels, *cams.shape[2:]):
            raise ValueError(
                f'RandomWalk: cams must be (N, C, h, w) and the {self.affinity} '
                f'(N, {"D" if self.affinity == "features" else 1}, h, w) with the same N, h and '
                f'w, got {tuple(cams.shape)} and {tuple(guide.shape)}; resize the maps first.'
            )
        cams, guide, radius = cams.float(), guide.float(), self.radius
        if self.affinity == 'boundary':
            cams = cams * (1 - guide)
        if self.pairs == 'published':
            radius = min(radius, (min(cams.shape[2:]) - 1) // 2)
        height, width = cams.shape[2:]
        if self.pairs != 'all' and (radius < 2 or height < radius or width < 2 * radius - 1):
            return cams.clone()  # no pairs at all
        return random_walk(
            cams,
            self._affinities(guide, radius),
            radius=radius,
            beta=self.beta,
            num_steps=self.num_steps,
        )
