"""Cosine similarity clamped away from -1 and 1."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

EPS = 1e-4


def clamped_cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine similarity, clamped to [-(1 - 1e-4), 1 - 1e-4].

    Vectors shorter than 1e-8 are divided by 1e-8. Half precision would round 1 - 1e-4 to 1, so
    half precision inputs give single precision.

    Source: Chen et al., 2022, https://arxiv.org/abs/2210.14618, and its published code.

    Shapes:
        a, b: ``(..., D)`` float, broadcastable.
        returns: ``(...)`` float32, or float64 for float64.

    Example:
        >>> import torch
        >>> b = torch.tensor([[2., 0.], [0., 2.], [3., 4.], [0., 0.]])
        >>> clamped_cosine(torch.tensor([1., 0.]), b)
        tensor([0.9999, 0.0000, 0.6000, 0.0000])
    """
    a, b = (x if x.dtype.itemsize >= 4 else x.float() for x in (a, b))
    return F.cosine_similarity(a, b, dim=-1, eps=1e-8).clamp(EPS - 1, 1 - EPS)
