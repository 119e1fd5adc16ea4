"""Affinity loss of AffinityNet and IRN: high affinity within a label, low across labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmwsss.ops import pair_slices

from .weighted_loss import WeightedLoss

EPS = 1e-5
IGNORE_INDEX = 255


class PairLabels(NamedTuple):
    """Masks of the three kinds of pairs; an ignored pair is in none of them.

    Shapes:
        each: ``(N, n, h - f, w - 2f)`` bool, see :func:`mmwsss.ops.pair_slices`.
    """

    bg_pos: Tensor  # both background
    fg_pos: Tensor  # both of the same class
    neg: Tensor  # different


def pair_labels(label_map: Tensor, radius: int) -> PairLabels:
    """Classify all pairs of nearby cells by their labels.

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.2, https://arxiv.org/abs/1803.10464

    Args:
        radius: Radius of the disc in which cells form pairs, in cells.

    Shapes:
        label_map: ``(N, h, w)`` integers; 0 is the background, 255 is ignored.

    Raises:
        ValueError: no cell has a partner in every direction.

    Example:
        >>> label_map = torch.tensor([[[0, 0, 7], [7, 255, 0]]])
        >>> [x.flatten().int().tolist() for x in pair_labels(label_map, 2)]
        [[0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]]
    """
    # one byte per label: radius 10 gives 152 pairs per cell
    source, target = pair_slices(label_map[:, None].to(torch.uint8), radius)
    target = target[:, 0]
    valid = (source != IGNORE_INDEX) & (target != IGNORE_INDEX)
    same = valid & (source == target)
    background = source == 0
    return PairLabels(same & background, same & ~background, valid & ~same)


def pair_affinity_losses(affinity: Tensor, labels: PairLabels) -> Tensor:
    """Return the mean loss of background pairs, foreground pairs and pairs of different labels.

    A pair costs ``-log(a + 1e-5)`` if its labels agree and ``-log(1 + 1e-5 - a)`` if they differ.
    Each sum over the batch is divided by (number of its pairs + 1e-5).

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.2, https://arxiv.org/abs/1803.10464

    Shapes:
        affinity: ``(N, n, ...)`` float in [0, 1].
        returns: ``(3,)`` float.

    Example:
        >>> affinity = torch.tensor([[[.5, 1., .25, .9]]])
        >>> masks = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]).bool()[:, None, None]
        >>> pair_affinity_losses(affinity, PairLabels(*masks)).round(decimals=2)
        tensor([0.6900, -0.0000, 0.2900])
    """
    value = -torch.where(labels.neg, 1 + EPS - affinity, affinity + EPS).log()
    return torch.stack([(value * mask).sum() / (mask.sum() + EPS) for mask in labels])


def pair_affinity_loss(
    affinity: Tensor, labels: PairLabels, *, weights: Sequence[float] = (0.25, 0.25, 0.5)
) -> Tensor:
    """Return the weighted sum of :func:`pair_affinity_losses`.

    The default is the loss of both AffinityNet (``bg / 4 + fg / 4 + neg / 2``) and IRN
    (``((bg + fg) / 2 + neg) / 2``).

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.2, https://arxiv.org/abs/1803.10464; Ahn et
    al., CVPR 2019, https://arxiv.org/abs/1904.05044

    Args:
        weights: Weights of background, foreground and different pairs.

    Shapes:
        affinity: ``(N, n, ...)`` float in [0, 1].
        returns: scalar; 0 if every pair is ignored.

    Example:
        >>> mask = torch.ones(1, 1, 1).bool()
        >>> loss = pair_affinity_loss(mask / 2, PairLabels(~mask, ~mask, mask))
        >>> round(loss.item(), 4)  # -log(1 / 2) / 2
        0.3466
    """
    return pair_affinity_losses(affinity, labels) @ affinity.new_tensor(weights)


@MODELS.register_module()
class PairAffinityLoss(WeightedLoss):
    """Registered :func:`pair_affinity_loss`.

    Raises:
        ValueError: ``weights`` are not three numbers.

    Example:
        >>> mask = torch.ones(1, 1, 1).bool()
        >>> loss = PairAffinityLoss(loss_weight=2.0)
        >>> round(loss(mask / 2, PairLabels(~mask, ~mask, mask)).item(), 4)
        0.6931
    """

    function = staticmethod(pair_affinity_loss)

    def __init__(
        self, loss_weight: float = 1.0, *, weights: Sequence[float] = (0.25, 0.25, 0.5)
    ) -> None:
        if len(weights) != 3:
            raise ValueError(
                'PairAffinityLoss: weights must be three numbers, for background, foreground and '
                f'different pairs, got {weights}.'
            )
        super().__init__(loss_weight, weights=tuple(weights))
