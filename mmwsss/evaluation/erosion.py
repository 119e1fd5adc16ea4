"""Erosion of class masks before they are compared with the truth."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmwsss.datasets.masks import IGNORE_INDEX


def check_erosion(erosion: int) -> int:
    """Return the side of the square that class masks are eroded by.

    Args:
        erosion: Pixels, odd; 0 or 1 erodes nothing.

    Raises:
        ValueError: it is another number.
    """
    if erosion and (erosion < 0 or not erosion % 2):
        raise ValueError(f'erosion must be an odd number of pixels, or 0 for none, got {erosion}.')
    return erosion


def _largest(values: Tensor, erosion: int) -> Tensor:
    """Return the largest value of the square around each pixel, as far as it lies in the image."""
    return F.max_pool2d(values[None], erosion, stride=1, padding=erosion // 2)[0]


def _same(labels: Tensor, erosion: int) -> Tensor:
    """Return where all of the square around a pixel has its label."""
    labels = labels.float()
    return _largest(labels, erosion) == -_largest(-labels, erosion)


def erode_best(best: Tensor, index: Tensor, erosion: int) -> Tensor:
    """Return up to which background score a pixel keeps its class when class masks are eroded.

    A mask keeps a pixel where the whole square around it has its class: where one class is the
    best everywhere in it, up to the smallest of its scores. The border of the image does not
    erode. What is eroded becomes background.

    Source: ``evaluate.py`` of https://github.com/JLChen-C/SemFormer, with a square of 7

    Args:
        best: Best score of each pixel.
        index: Class that has it.
        erosion: See :func:`check_erosion`.

    Shapes:
        best: ``(H, W)`` float.
        index: ``(H, W)`` integers.
        returns: ``(H, W)`` float, -inf where no background score leaves the class.

    Example:
        >>> best, index = torch.tensor([[.5, .4, .6, .7]]), torch.tensor([[0, 0, 0, 1]])
        >>> erode_best(best, index, 3)
        tensor([[0.4000, 0.4000,   -inf,   -inf]])
    """
    if erosion <= 1:
        return best
    return torch.where(_same(index, erosion), -_largest(-best, erosion), -torch.inf)


def erode_mask(mask: Tensor, erosion: int) -> Tensor:
    """Erode the mask of each class; what is eroded becomes background.

    Undecided pixels (255) stay so.

    Args:
        mask: Classes, 0 the background.
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
