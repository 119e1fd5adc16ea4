"""Cross entropy in which background and foreground count alike, however large they are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn


def balanced_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = 255,
    skip_empty: bool = True,
) -> Tensor:
    """Half the mean cross entropy of background pixels plus half that of foreground pixels.

    Both means are over the whole batch.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published code.

    Args:
        labels: 0 is the background.
        weight: How much each pixel counts in its mean, 1 by default.
        ignore_index: Label of pixels that count for nothing.
        skip_empty: Whether a half without any pixel gives 0. Otherwise it gives NaN, as the
            published code does.

    Shapes:
        logits: ``(N, C, H, W)`` float.
        labels: ``(N, H, W)`` integers.
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
class BalancedCrossEntropyLoss(nn.Module):
    """Registered :func:`balanced_cross_entropy`, for the ``loss_decode`` of any decode head.

    Args:
        loss_weight: Factor on the loss; AFA has 0.1.
        skip_empty: Whether a batch without any background, or foreground, has 0 for that half;
            False gives the NaN of the published code.
        loss_name: Key of the loss in the log.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        *,
        skip_empty: bool = True,
        loss_name: str = 'loss_seg',
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
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
