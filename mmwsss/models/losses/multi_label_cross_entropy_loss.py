"""Multi-label classification loss on probabilities, for scores pooled after the softmax."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


def multi_label_cross_entropy(probs: Tensor, labels: Tensor) -> Tensor:
    """Return the binary cross entropy, averaged over classes and images.

    The same loss as :class:`MultiLabelSoftMarginLoss`, but on probabilities instead of logits,
    because converting pooled probabilities back to logits loses precision.

    Source: Wu et al. (APC), 2024, Eq. 3, https://arxiv.org/abs/2407.10649

    Shapes:
        probs: ``(N, C)`` float in [0, 1].
        labels: ``(N, C)`` float multi-hot.
        returns: scalar, at most 100.

    Example:
        >>> multi_label_cross_entropy(torch.tensor([[.5, .9]]), torch.tensor([[1., 1.]]))
        tensor(0.3993)
    """
    # needs more than half precision, and raises under CUDA autocast
    probs = probs.to(torch.promote_types(probs.dtype, torch.float32))
    with torch.autocast(probs.device.type, enabled=False):
        return F.binary_cross_entropy(probs, labels.to(probs.dtype))


@MODELS.register_module()
class MultiLabelCrossEntropyLoss(WeightedLoss):
    """Registered :func:`multi_label_cross_entropy`.

    Args:
        loss_name: Key of the loss in the log.

    Example:
        >>> MultiLabelCrossEntropyLoss(2.0)(torch.tensor([[.5]]), torch.ones(1, 1))  # 2 log 2
        tensor(1.3863)
    """

    function = staticmethod(multi_label_cross_entropy)

    def __init__(self, loss_weight: float = 1.0, *, loss_name: str = 'loss_cls') -> None:
        super().__init__(loss_weight)
        self.loss_name = loss_name
