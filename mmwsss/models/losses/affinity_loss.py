"""The loss of AffinityNet and IRN: cells of the same label alike, of different labels not."""

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
    """What the labels of a pair's cells say of it; ignored pairs are in none of the three.

    Shapes:
        each: ``(N, n, h - f, w - 2f)`` bool, see :func:`mmwsss.ops.pair_slices`.
    """

    bg_pos: Tensor  # both background
    fg_pos: Tensor  # both of the same class
    neg: Tensor  # different


def pair_labels(label_map: Tensor, radius: int) -> PairLabels:
    """Return the labels of all pairs of nearby cells.

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.2, https://arxiv.org/abs/1803.10464

    Args:
        label_map: Class of each cell; 0 is the background, 255 is ignored.
        radius: Of the disc in which cells make pairs.

    Shapes:
        label_map: ``(N, h, w)`` integers.

    Raises:
        ValueError: no cell has a partner in every direction.

    Example:
        >>> label_map = torch.tensor([[[0, 0, 7], [7, 255, 0]]])
        >>> [x.flatten().int().tolist() for x in pair_labels(label_map, 2)]
        [[0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]]
    """
    # one byte a label: at radius 10 there are 152 pairs to a cell
    source, target = pair_slices(label_map[:, None].to(torch.uint8), radius)
    target = target[:, 0]
    valid = (source != IGNORE_INDEX) & (target != IGNORE_INDEX)
    same = valid & (source == target)
    background = source == 0
    return PairLabels(same & background, same & ~background, valid & ~same)


def pair_affinity_losses(affinity: Tensor, labels: PairLabels) -> Tensor:
    """Return the mean loss of background pairs, foreground pairs and pairs to be kept apart.

    ``-log(a + 1e-5)`` where the labels are the same, ``-log(1 + 1e-5 - a)`` where they differ;
    each sum over the batch is divided by (the number of its pairs + 1e-5).

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.2, https://arxiv.org/abs/1803.10464

    Args:
        affinity: Affinity of each pair.
        labels: What it should be.

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

    The two published losses, ``bg / 4 + fg / 4 + neg / 2`` of AffinityNet and
    ``((bg + fg) / 2 + neg) / 2`` of IRN, are the same.

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.2, https://arxiv.org/abs/1803.10464; Ahn et
    al., CVPR 2019, https://arxiv.org/abs/1904.05044

    Args:
        affinity: Affinity of each pair.
        labels: What it should be.
        weights: Of background, foreground and different pairs.

    Shapes:
        affinity: ``(N, n, ...)`` float in [0, 1].
        returns: scalar; 0 where everything is ignored.

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

    Args:
        loss_weight: Factor on the loss.
        weights: Of background, foreground and different pairs.

    Raises:
        ValueError: ``weights`` are not three numbers.
    """

    function = staticmethod(pair_affinity_loss)

    def __init__(
        self, loss_weight: float = 1.0, *, weights: Sequence[float] = (0.25, 0.25, 0.5)
    ) -> None:
        if len(weights) != 3:
            raise ValueError(
                'PairAffinityLoss: weights are three numbers, of background, foreground and '
                f'different pairs, got {weights}.'
            )
        super().__init__(loss_weight, weights=tuple(weights))
