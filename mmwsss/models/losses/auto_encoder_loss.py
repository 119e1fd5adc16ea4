"""Losses of the class-aware auto-encoder: similarity to the classes, and reconstruction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .multi_label_cross_entropy_loss import multi_label_cross_entropy
from .weighted_loss import WeightedLoss

MARGIN = 1e-4


def similarity_loss(similarity: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy that treats cosine similarities as probabilities, without a sigmoid.

    After a ReLU many similarities are exactly 0, where ``-log(s)`` and its gradient are infinite.
    Below 1e-4 (above 1 - 1e-4 for an absent class) the loss therefore continues along its
    tangent, so these elements still learn, with a gradient of 1e4 / (number of elements).

    Source: Chen et al., 2022, Eqs. 2 and 12, https://arxiv.org/abs/2210.14618, and its published
    code.

    Shapes:
        similarity: ``(N, C)`` float, at most 1.
        labels: ``(N, C)`` float, 0 or 1.
        returns: scalar.

    Example:
        >>> similarity = torch.tensor([[0.5, 0.0]])
        >>> round(similarity_loss(similarity, torch.tensor([[1.0, 0.0]])).item(), 4)
        0.3466
    """
    wrong = torch.where(labels > 0, 1 - similarity, similarity)
    tangent = (wrong - (1 - MARGIN)).relu() / MARGIN
    inside = similarity.clamp(MARGIN, 1 - MARGIN)
    return multi_label_cross_entropy(inside, labels) + tangent.mean()


def reconstruction_loss(reconstruction: Tensor, images: Tensor) -> Tensor:
    """Mean squared error of a reconstruction, over all pixels.

    Source: Chen et al., 2022, Eq. 4, https://arxiv.org/abs/2210.14618

    Shapes:
        reconstruction: ``(N, 3, H, W)`` float.
        images: ``(N, 3, H, W)`` float, normalised.
        returns: scalar.

    Example:
        >>> reconstruction_loss(torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
        tensor(1.)
    """
    return F.mse_loss(reconstruction.float(), images.float())


@MODELS.register_module()
class SimilarityLoss(WeightedLoss):
    """Registered :func:`similarity_loss`.

    Example:
        >>> SimilarityLoss(2.0)(torch.tensor([[0.5]]), torch.ones(1, 1))
        tensor(1.3863)
    """

    function = staticmethod(similarity_loss)


@MODELS.register_module()
class ReconstructionLoss(WeightedLoss):
    """Registered :func:`reconstruction_loss`.

    Example:
        >>> ReconstructionLoss(2.0)(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)).item()
        2.0
    """

    function = staticmethod(reconstruction_loss)
