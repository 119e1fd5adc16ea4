"""Erosion of class masks before comparing them with the ground truth."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmwsss.datasets.masks import IGNORE_INDEX


def check_erosion(erosion: int) -> int:
    """Check the side of the square by which class masks are eroded, and return it.

    Args:
        erosion: Odd number of pixels; 0 and 1 disable the erosion.

    Raises:
        ValueError: ``erosion`` is negative or even.
    """
    if erosion and (erosion < 0 or not erosion % 2):
        raise ValueError(f'erosion must be an odd number of pixels, or 0 for none, got {erosion}.')
    return erosion


def _largest(values: Tensor, erosion: int) -> Tensor:
    """Return the largest value in the square around each pixel, within the image."""
    return F.max_pool2d(values[None], erosion, stride=1, padding=erosion // 2)[0]


def _same(labels: Tensor, erosion: int) -> Tensor:
    """Return where the whole square around a pixel has its label."""
    labels = labels.float()
    return _largest(labels, erosion) == -_largest(-labels, erosion)


def erode_best(best: Tensor, index: Tensor, erosion: int) -> Tensor:
    """Return the background score up to which each pixel keeps its class after erosion.

    Erosion keeps a pixel if the whole square around it has the same class. That is the case where
    one class is the best in the whole square, up to its smallest score there. The border of the
    image does not erode masks. Eroded pixels become background.

    Source: ``evaluate.py`` of https://github.com/JLChen-C/SemFormer, with a square of 7

    Args:
        best: Best score of each pixel.
        index: Class with this score.
        erosion: See :func:`check_erosion`.

    Shapes:
        best: ``(H, W)`` float.
        index: ``(H, W)`` integers.
        returns: ``(H, W)`` float, -inf where the class is always eroded.

    Example:
        >>> best, index = torch.tensor([[.5, .4, .6, .7]]), torch.tensor([[0, 0, 0, 1]])
        >>> erode_best(best, index, 3)
        tensor([[0.4000, 0.4000,   -inf,   -inf]])
    """
    if erosion <= 1:
        return best
    return torch.where(_same(index, erosion), -_largest(-best, erosion), -torch.inf)


def erode_mask(mask: Tensor, erosion: int) -> Tensor:
    """Erode the mask of each class; eroded pixels become background.

    Undecided pixels (255) do not change.

    Args:
        mask: Class indices; 0 is the background.
        erosion: See :func:`check_erosion`.

    Shapes:
        mask: ``(H, W)`` integers.
        returns: the same.

    Example:
        >>> erode_mask(torch.tensor([[1, 1, 1, 2, 0]]), 3)
        tensor([[1, 1, 0, 0, 0]])
    """
    if erosion <= 1:
        return mask
    kept = _same(mask, erosion) | (mask == IGNORE_INDEX)
    return torch.where(kept, mask, torch.zeros_like(mask))
