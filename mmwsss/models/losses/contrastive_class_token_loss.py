"""Loss of MCTformer+: makes the class tokens of an image differ from each other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss

EPS = 1e-8


def contrastive_class_token_loss(tokens: Tensor, labels: Tensor) -> Tensor:
    r"""Contrast the token of each present class with all other class tokens of the image.

    With the cosines :math:`S` between the K tokens of an image after a block, the loss of a present
    class c is :math:`-\log \mathrm{softmax}(S_c)_c`. The result is the mean over present classes,
    blocks and images. Images without classes add 0.

    Source: Xu et al., TPAMI 2024, https://arxiv.org/abs/2308.03005, and its published code.

    Shapes:
        tokens: ``(B, N, K, C)`` float, of B blocks.
        labels: ``(N, K)`` float multi-hot.
        returns: scalar in [0, log K + 2].

    Raises:
        ValueError: the shapes do not match.

    Example:
        >>> tokens = torch.eye(2).view(1, 1, 2, 2)  # log(1 + exp(-1))
        >>> contrastive_class_token_loss(tokens, torch.tensor([[1., 0.]]))
        tensor(0.3133)
    """
    if tokens.ndim != 4 or labels.shape != tokens.shape[1:3]:
        raise ValueError(
            'contrastive_class_token_loss: tokens must be (B, N, K, C) and labels (N, K), got '
            f'{tuple(tokens.shape)} and {tuple(labels.shape)}.'
        )
    tokens = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
    with torch.autocast(tokens.device.type, enabled=False):
        units = F.normalize(tokens, dim=3, eps=EPS)
        cosines = units @ units.transpose(2, 3)
    found = cosines.log_softmax(dim=3).diagonal(dim1=2, dim2=3).mean(dim=0)  # (N, K)
    return -((found * labels).sum(dim=1) / (labels.sum(dim=1) + EPS)).mean()


@MODELS.register_module()
class ContrastiveClassTokenLoss(WeightedLoss):
    """Registered :func:`contrastive_class_token_loss`.

    Example:
        >>> ContrastiveClassTokenLoss(2.0)(torch.eye(2).view(1, 1, 2, 2), torch.ones(1, 2))
        tensor(0.6265)
    """

    function = staticmethod(contrastive_class_token_loss)
