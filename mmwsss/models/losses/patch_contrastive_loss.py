"""Patch contrastive loss of APC: attract confident patches of a class, repel the others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


def _patch_sets(
    scores: Tensor, present: Tensor, valid: Tensor | None, high: float, low: float
) -> Tensor:
    """Return the masks of the high sets of all classes, then of the low sets, ``(N, 2C, L)``."""
    sets = torch.cat([scores > high, scores < low], dim=1) & present.repeat(1, 2)[..., None]
    return sets if valid is None else sets & valid.flatten(2).bool()


def _check(embed: Tensor, scores: Tensor, labels: Tensor) -> None:
    same_grid = embed.shape[0] == scores.shape[0] and embed.shape[2:] == scores.shape[2:]
    if not same_grid or labels.shape != (scores.shape[0], scores.shape[1] - 1):
        raise ValueError(
            'patch_contrastive_loss: embed must be (N, D, h, w), scores (N, K + 1, h, w) of the '
            f'same patches and labels (N, K), got {tuple(embed.shape)}, {tuple(scores.shape)} and '
            f'{tuple(labels.shape)}.'
        )


def patch_contrastive_loss(
    embed: Tensor,
    scores: Tensor,
    labels: Tensor,
    valid: Tensor | None = None,
    *,
    high: float = 0.85,
    low: float = 0.15,
    with_background: bool = False,
    repel_weight: float = 1.0,
) -> Tensor:
    r"""Attract the patches with high scores of a class and repel those with low scores.

    Let :math:`S = (1 + \cos) / 2` be the similarity of two patches. Each class present in an
    image costs the mean of :math:`1 - S` over pairs of different high patches plus the mean of
    :math:`S` over pairs of a high and a low patch; a mean over no pairs is 0. The loss averages
    over the classes of an image, then over images, so it does not depend on how images are
    batched. The scores only select patches and get no gradient.

    The sum over all pairs of unit vectors is the product of their sums, so the cost is linear in
    the number of patches.

    Source: Wu et al. (APC), 2024, Eqs. 4 to 6, https://arxiv.org/abs/2407.10649

    Args:
        high: Patches with a score above this are high.
        low: Patches with a score below this are low; the paper says only "lowest scores".
        with_background: Treat the background as a class that is present in every image.
        repel_weight: Factor on the pairs of a high and a low patch; 0 disables the repulsion.

    Shapes:
        embed: ``(N, D, h, w)`` float.
        scores: ``(N, K + 1, h, w)`` float in [0, 1], background first.
        labels: ``(N, K)`` float multi-hot.
        valid: ``(N, 1, h, w)``, 1 for patches of the image, 0 for padding; 1 by default.
        returns: scalar in [0, 1 + repel_weight]; 0 if no class is present.

    Raises:
        ValueError: the shapes do not match.

    Example:
        >>> embed = torch.tensor([[1., 1., 0.], [0., 0., 1.]]).view(1, 2, 1, 3)
        >>> dog = torch.tensor([.9, .9, .1])
        >>> scores = torch.stack([1 - dog, dog]).view(1, 2, 1, 3)
        >>> patch_contrastive_loss(embed, scores, torch.ones(1, 1))  # (1 - 1) + (1 + 0) / 2
        tensor(0.5000)
    """
    _check(embed, scores, labels)
    present = F.pad(labels > 0, (1, 0), value=with_background)  # (N, K + 1)
    sets = _patch_sets(scores.flatten(2), present, valid, high, low)
    # subtracting the diagonal from a sum of squares cancels in half precision
    embed = embed.flatten(2).to(torch.promote_types(embed.dtype, torch.float32))
    with torch.autocast(embed.device.type, enabled=False):
        units = F.normalize(embed, dim=1)  # (N, D, L)
        sums = torch.einsum('nsl,ndl->nsd', sets.to(units.dtype), units)
        sum_high, sum_low = sums.chunk(2, dim=1)  # (N, K + 1, D)
        is_high = sets[:, : len(present[0])].to(units.dtype)
        # not simply the number of patches: a zero vector stays zero when normalised
        diagonal = torch.einsum('ncl,ndl->nc', is_high, units.square())
        alike = sum_high.square().sum(dim=2) - diagonal
        across = torch.einsum('ncd,ncd->nc', sum_high, sum_low)
    num_high, num_low = sets.sum(dim=2).chunk(2, dim=1)
    num_alike, num_across = num_high * (num_high - 1), num_high * num_low
    attract = torch.where(num_alike > 0, 1 - alike / num_alike.clamp(min=1), 0)
    repel = torch.where(num_across > 0, 1 + across / num_across.clamp(min=1), 0)
    by_class = (attract + repel_weight * repel) / 2
    return (by_class.sum(dim=1) / present.sum(dim=1).clamp(min=1)).mean()


@MODELS.register_module()
class PatchContrastiveLoss(WeightedLoss):
    """Registered :func:`patch_contrastive_loss`.

    Raises:
        ValueError: not ``0 <= low <= high <= 1``, or ``repel_weight`` is negative.

    Example:
        >>> embed = torch.tensor([[1., 1., 0.], [0., 0., 1.]]).view(1, 2, 1, 3)
        >>> dog = torch.tensor([.9, .9, .1])
        >>> scores = torch.stack([1 - dog, dog]).view(1, 2, 1, 3)
        >>> PatchContrastiveLoss(repel_weight=0.)(embed, scores, torch.ones(1, 1))
        tensor(0.)
    """

    function = staticmethod(patch_contrastive_loss)

    def __init__(
        self,
        loss_weight: float = 1.0,
        *,
        high: float = 0.85,
        low: float = 0.15,
        with_background: bool = False,
        repel_weight: float = 1.0,
    ) -> None:
        if not 0 <= low <= high <= 1:
            raise ValueError(
                'PatchContrastiveLoss: low and high must satisfy 0 <= low <= high <= 1, got '
                f'low={low} and high={high}.'
            )
        if not repel_weight >= 0:
            raise ValueError(
                f'PatchContrastiveLoss: repel_weight must not be negative, got {repel_weight}; 0 '
                'disables the repulsion.'
            )
        super().__init__(
            loss_weight,
            high=high,
            low=low,
            with_background=with_background,
            repel_weight=repel_weight,
        )
