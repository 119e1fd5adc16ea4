"""Equivariance loss of ViT-PCM between corresponding patches of two views."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss

EPS = 1e-7


def patch_equivariance_loss(
    scores: Tensor, shares: Tensor, classes: Tensor, valid: Tensor | None = None
) -> Tensor:
    """Return the cross entropy of patch probabilities with the class shares of another view.

    Source: Rossetti et al. (ViT-PCM), ECCV 2022, Sec. 5, https://arxiv.org/abs/2210.17400, and its
    published code, which clips probabilities at 1e-7.

    Shapes:
        scores: ``(N, K + 1, h, w)`` probabilities, background first.
        shares: ``(N, 1 + S, h, w)`` of :func:`.tagged_patch_scores`; detached.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        valid: ``(N, 1, h, w)``, 1 for patches of the image, 0 for padding; 1 by default.
        returns: scalar, the mean over patches; 0 if there are none.

    Raises:
        ValueError: the shapes do not match.

    Example:
        >>> scores = torch.tensor([.5, .25, .25]).view(1, 3, 1, 1)
        >>> shares = torch.tensor([0., 1.]).view(1, 2, 1, 1)
        >>> patch_equivariance_loss(scores, shares, torch.tensor([[1]]))
        tensor(1.3863)
    """
    same_grid = len(scores) == len(shares) and scores.shape[2:] == shares.shape[2:]
    if not same_grid or classes.shape != (len(scores), shares.shape[1] - 1):
        raise ValueError(
            'patch_equivariance_loss: scores must be (N, K + 1, h, w), shares (N, 1 + S, h, w) of '
            f'the same patches and classes (N, S), got {tuple(scores.shape)}, '
            f'{tuple(shares.shape)} and {tuple(classes.shape)}.'
        )
    images = torch.arange(len(scores), device=scores.device)
    # an empty slot (-1) reads the background, but its share is 0
    found = scores[images[:, None], F.pad(classes + 1, (1, 0))]  # (N, 1 + S, h, w)
    found = found.to(torch.promote_types(found.dtype, torch.float32)).clamp(EPS, 1 - EPS)
    entropy = -(shares.detach() * found.log()).sum(dim=1, keepdim=True)  # (N, 1, h, w)
    if valid is None:
        return entropy.mean()
    kept = valid.to(entropy.dtype)
    return (entropy * kept).sum() / kept.sum().clamp(min=1)


@MODELS.register_module()
class PatchEquivarianceLoss(WeightedLoss):
    """Registered :func:`patch_equivariance_loss`.

    Example:
        >>> scores = torch.full((1, 2, 1, 1), .5)
        >>> shares = torch.tensor([0., 1.]).view(1, 2, 1, 1)
        >>> PatchEquivarianceLoss(2.0)(scores, shares, torch.tensor([[0]]))  # 2 log 2
        tensor(1.3863)
    """

    function = staticmethod(patch_equivariance_loss)
