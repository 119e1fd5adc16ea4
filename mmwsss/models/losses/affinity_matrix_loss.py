"""Affinity loss of AFA on all pairs of cells."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


def affinity_matrix_loss(affinity: Tensor, labels: Tensor) -> Tensor:
    """Push the affinity of equal labels to 1 and that of different labels to 0.

    The loss is half the mean of ``1 - a`` over pairs labelled 1 plus half the mean of ``a`` over
    pairs labelled 0. Each sum over the batch is divided by (number of its pairs + 1).

    Source: Ru et al., CVPR 2022, Eq. 5, https://arxiv.org/abs/2203.02664, and its published
    code. The paper swaps the signs of the two terms.

    Shapes:
        affinity: ``(N, P, P)`` float in [0, 1].
        labels: ``(N, P, P)`` integers, see :func:`mmwsss.ops.pair_label_matrix`; values other than
            0 and 1 are ignored.
        returns: scalar; 0 if every pair is ignored.

    Example:
        >>> affinity = torch.tensor([[[.6, .5], [.5, .9]]])
        >>> labels = torch.tensor([[[1, 0], [0, 255]]])
        >>> affinity_matrix_loss(affinity, labels)  # 0.4 / 2 / 2 + (0.5 + 0.5) / 3 / 2
        tensor(0.2667)
    """
    # the sum over a large grid overflows in half precision
    affinity = affinity.to(torch.promote_types(affinity.dtype, torch.float32))
    same, different = labels == 1, labels == 0
    attract = torch.where(same, 1 - affinity, 0).sum() / (same.sum() + 1)
    repel = torch.where(different, affinity, 0).sum() / (different.sum() + 1)
    return (attract + repel) / 2


@MODELS.register_module()
class AffinityMatrixLoss(WeightedLoss):
    """Registered :func:`affinity_matrix_loss`.

    Example:
        >>> AffinityMatrixLoss(0.1)(torch.ones(1, 2, 2), torch.zeros(1, 2, 2))  # 0.1 * 4 / 5 / 2
        tensor(0.0400)
    """

    function = staticmethod(affinity_matrix_loss)
