"""Labels for affinity learning from class activation maps, for AffinityNet and IRN."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-5
IGNORE_INDEX = 255


def fuse_affinity_scores(low: Tensor, high: Tensor, stride: int = 8) -> Tensor:
    """Label each cell of the feature grid from its scores at two background exponents.

    A cell gets a class if the class beats the strong background (low exponent), and the background
    label if the weak background (high exponent) wins. Other cells are ignored, and so are cells
    without any score, i.e. padding.

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.1, https://arxiv.org/abs/1803.10464, and its
    published code.

    Args:
        low: Scores of background and classes with the low exponent.
        high: The same with the high exponent.
        stride: Width of a cell in pixels; their scores are averaged.

    Shapes:
        low, high: ``(n + 1, H, W)`` float in [0, 1], sides multiples of ``stride``.
        returns: ``(H / stride, W / stride)`` uint8: 0, the index of the class in ``low``, or 255.

    Raises:
        ValueError: the shapes differ, or a side is not a multiple of ``stride``.

    Example:
        >>> low = torch.tensor([[.9, .2, .6, 0.], [.1, .8, .4, 0.]])[:, None]
        >>> high = torch.tensor([[.8, .1, .3, 0.], [.2, .9, .7, 0.]])[:, None]
        >>> fuse_affinity_scores(low, high, stride=1).tolist()
        [[0, 1, 255, 255]]
    """
    if low.shape != high.shape or low.ndim != 3:
        raise ValueError(
            'fuse_affinity_scores: both scores must have the same shape (n + 1, H, W), got '
            f'{tuple(low.shape)} and {tuple(high.shape)}.'
        )
    if low.shape[1] % stride or low.shape[2] % stride:
        raise ValueError(
            f'fuse_affinity_scores: both sides must be multiples of the stride {stride}, got '
            f'{tuple(low.shape[1:])}; change the crop size.'
        )
    cells = F.avg_pool2d(torch.stack([low, high]), stride)  # (2, n + 1, h, w)
    with_low, with_high = cells.argmax(dim=1).to(torch.uint8)
    label = with_low.masked_fill(with_low == 0, IGNORE_INDEX)
    label = label.masked_fill(with_high == 0, 0)
    return label.masked_fill(cells.amax(dim=(0, 1)) < EPS, IGNORE_INDEX)


def seed_labels(cams: Tensor, scores: Sequence[float]) -> Tensor:
    """Return the best of background and classes for each constant background score.

    Source: Ahn et al., CVPR 2019, https://arxiv.org/abs/1904.05044

    Args:
        cams: Normalised maps of the tagged classes of an image.
        scores: Background scores; the background wins ties.

    Shapes:
        cams: ``(n, H, W)`` float.
        returns: ``(len(scores), H, W)`` int64: 0, or 1 + the index of the class in ``cams``.

    Example:
        >>> seed_labels(torch.tensor([[[.1, .2]]]), (.15, .05)).tolist()
        [[[0, 1]], [[1, 1]]]
    """
    constants = cams.new_tensor(scores)[:, None, None]
    if not len(cams):
        return cams.new_zeros(len(scores), *cams.shape[1:], dtype=torch.int64)
    best, place = cams.max(dim=0)
    return torch.where(best > constants, place + 1, 0)


def combine_seed_labels(foreground: Tensor, background: Tensor) -> Tensor:
    """Take the classes from one label map, and the background where both maps agree on it.

    Pixels that are background in the first map only are ignored.

    Source: Ahn et al., CVPR 2019, https://arxiv.org/abs/1904.05044, Ru et al., CVPR 2022,
    https://arxiv.org/abs/2203.02664, and their published code.

    Shapes:
        foreground, background: ``(..., H, W)`` integers, 0 for the background.
        returns: ``(..., H, W)`` uint8, 255 for ignored pixels.

    Example:
        >>> combine_seed_labels(torch.tensor([3, 0, 0]), torch.tensor([0, 0, 3])).tolist()
        [3, 0, 255]
    """
    undecided = (foreground == 0) & (background != 0)
    return foreground.masked_fill(undecided, IGNORE_INDEX).to(torch.uint8)
