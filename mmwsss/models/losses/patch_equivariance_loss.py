"""Equivariance loss of ViT-PCM: a patch of one view against the same place of the other."""

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
    """Cross entropy of patch probabilities with the shares of classes that another view gives.

    Source: Rossetti et al. (ViT-PCM), ECCV 2022, Sec. 5, https://arxiv.org/abs/2210.17400, and its
    published code, which cuts probabilities at 1e-7.

    Args:
        valid: Patches of the images; others are left out. All by default.

    Shapes:
        scores: ``(N, K + 1, h, w)`` probabilities, background first.
        shares: ``(N, 1 + S, h, w)`` of :func:`.tagged_patch_scores`, no gradient.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        valid: ``(N, 1, h, w)``, 0 or 1.
        returns: scalar, the mean over patches; 0 where there is none.

    Raises:
        ValueError: the shapes do not fit each other.

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
    # where there is no class the share is 0
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

    Args:
        loss_weight: Factor on the loss.
    """

    function = staticmethod(patch_equivariance_loss)
