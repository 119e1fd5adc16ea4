"""Cross entropy with equal weight for background and foreground, whatever their areas."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


def balanced_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = 255,
    skip_empty: bool = True,
) -> Tensor:
    """Average the mean cross entropy of background pixels and that of foreground pixels.

    Both means are over the whole batch.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published code.

    Args:
        weight: Weight of each pixel in its mean, 1 by default.
        skip_empty: Count the background (foreground) as 0 if the batch has no such pixel;
            otherwise the loss is NaN, as in the published code.

    Shapes:
        logits: ``(N, C, H, W)`` float.
        labels: ``(N, H, W)`` integers, 0 for the background.
        weight: ``(N, H, W)`` float, not negative.
        returns: scalar.

    Example:
        >>> logits = torch.tensor([[0., 0., 0.], [0., 0., 4.]]).view(1, 2, 1, 3)
        >>> balanced_cross_entropy(logits, torch.tensor([[[0, 1, 255]]]))
        tensor(0.6931)
        >>> balanced_cross_entropy(logits, torch.tensor([[[0, 255, 255]]]))
        tensor(0.3466)
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    loss = F.cross_entropy(logits, labels.long(), reduction='none', ignore_index=ignore_index)
    valid = labels != ignore_index
    halves = []
    for kind in (valid & (labels == 0), valid & (labels != 0)):
        share = kind.to(loss.dtype) if weight is None else torch.where(kind, weight, 0)
        total = share.sum()
        if skip_empty:
            total = torch.where(total > 0, total, 1)
        halves.append((torch.where(kind, loss, 0) * share).sum() / total)
    return (halves[0] + halves[1]) / 2


@MODELS.register_module()
class BalancedCrossEntropyLoss(WeightedLoss):
    """Registered :func:`balanced_cross_entropy`, for the ``loss_decode`` of any decode head.

    AFA uses ``loss_weight=0.1``.

    Args:
        loss_name: Key of the loss in the log.

    Example:
        >>> loss = BalancedCrossEntropyLoss(0.1)
        >>> loss(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]]))  # 0.1 * log 2
        tensor(0.0693)
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        *,
        skip_empty: bool = True,
        loss_name: str = 'loss_seg',
    ) -> None:
        super().__init__(loss_weight)
        self.skip_empty = skip_empty
        self.loss_name = loss_name

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        ignore_index: int = 255,
    ) -> Tensor:
        """Return the weighted loss; shapes as in :func:`balanced_cross_entropy`."""
        loss = balanced_cross_entropy(
            logits, labels, weight, ignore_index=ignore_index, skip_empty=self.skip_empty
        )
        return self.loss_weight * loss
