"""The loss of AFA on the affinities of all pairs of cells."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


def affinity_matrix_loss(affinity: Tensor, labels: Tensor) -> Tensor:
    """Cells of one label should have affinity 1, cells of different labels 0.

    Half the mean of ``1 - a`` over the pairs that are labelled 1 and half the mean of ``a`` over
    those that are labelled 0, over the whole batch; each sum is divided by the number of its
    pairs plus one.

    Source: Ru et al., CVPR 2022, Eq. 5, https://arxiv.org/abs/2203.02664, where the two terms
    have each other's sign, and its published code.

    Args:
        labels: As of :func:`mmwsss.ops.pair_label_matrix`; pairs that are neither 1 nor 0 are
            ignored.

    Shapes:
        affinity: ``(N, P, P)`` float in [0, 1].
        labels: ``(N, P, P)`` integers.
        returns: scalar; 0 where everything is ignored.

    Example:
        >>> affinity = torch.tensor([[[.6, .5], [.5, .9]]])
        >>> labels = torch.tensor([[[1, 0], [0, 255]]])
        >>> affinity_matrix_loss(affinity, labels)  # 0.4 / 2 / 2 + (0.5 + 0.5) / 3 / 2
        tensor(0.2667)
    """
    # the sum over a large grid would leave the range of half precision
    affinity = affinity.to(torch.promote_types(affinity.dtype, torch.float32))
    same, different = labels == 1, labels == 0
    attract = torch.where(same, 1 - affinity, 0).sum() / (same.sum() + 1)
    repel = torch.where(different, affinity, 0).sum() / (different.sum() + 1)
    return (attract + repel) / 2


@MODELS.register_module()
class AffinityMatrixLoss(WeightedLoss):
    """Registered :func:`affinity_matrix_loss`.

    Args:
        loss_weight: Factor on the loss; AFA has 0.1.
    """

    function = staticmethod(affinity_matrix_loss)
