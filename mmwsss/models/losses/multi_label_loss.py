"""Multi-label classification loss on logits."""

from __future__ import annotations

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


@MODELS.register_module()
class MultiLabelSoftMarginLoss(WeightedLoss):
    """Binary cross-entropy, averaged over classes and images.

    Args:
        loss_name: Key of the loss in the log.

    Example:
        >>> import torch
        >>> loss = MultiLabelSoftMarginLoss()(torch.zeros(1, 2), torch.tensor([[1., 0.]]))
        >>> round(loss.item(), 4)
        0.6931
    """

    def __init__(self, loss_weight: float = 1.0, *, loss_name: str = 'loss_cls') -> None:
        super().__init__(loss_weight)
        self.loss_name = loss_name

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the weighted loss, a scalar.

        Shapes:
            scores: ``(N, K)`` float logits.
            labels: ``(N, K)`` float multi-hot.
        """
        return self.loss_weight * F.multilabel_soft_margin_loss(scores.float(), labels)
