"""Multi-label classification loss on probabilities, for scores that were pooled as such."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


def multi_label_cross_entropy(probs: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of every class, averaged over classes and images.

    :class:`MultiLabelSoftMarginLoss` on probabilities in place of logits: the mean of
    probabilities has no logit to go back to without loss.

    Source: Wu et al. (APC), 2024, Eq. 3, https://arxiv.org/abs/2407.10649

    Shapes:
        probs: ``(N, C)`` float in [0, 1].
        labels: ``(N, C)`` float multi-hot.
        returns: scalar, at most 100.

    Example:
        >>> multi_label_cross_entropy(torch.tensor([[.5, .9]]), torch.tensor([[1., 1.]]))
        tensor(0.3993)
    """
    # a mean of logarithms needs more than half precision, and CUDA's autocast refuses this loss
    probs = probs.to(torch.promote_types(probs.dtype, torch.float32))
    with torch.autocast(probs.device.type, enabled=False):
        return F.binary_cross_entropy(probs, labels.to(probs.dtype))


@MODELS.register_module()
class MultiLabelCrossEntropyLoss(WeightedLoss):
    """Registered :func:`multi_label_cross_entropy`.

    Args:
        loss_weight: Factor on the loss.
        loss_name: Key of the loss in the log.
    """

    function = staticmethod(multi_label_cross_entropy)

    def __init__(self, loss_weight: float = 1.0, *, loss_name: str = 'loss_cls') -> None:
        super().__init__(loss_weight)
        self.loss_name = loss_name
