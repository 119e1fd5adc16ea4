"""Arithmetic on class activation maps: normalisation and background scores."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

EPS = 1e-5


def _extremes(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return minimum and maximum over the plane, ``(..., 1, 1)`` each."""
    return torch.aminmax(maps.flatten(-2), dim=-1, keepdim=True)


def normalize_cam(cams: Tensor) -> Tensor:
    """Normalise summed class activation maps to scores for thresholding.

    Negative values become 0. Then, with ``lo`` and ``hi`` the extremes of a map and ``e = 1e-5``,
    values below ``lo + e`` become 0 and the score is ``(x - lo - e) / (hi - lo + e)``. A map that
    is 0 everywhere gives -1, so a suppressed class never wins.

    Source: Wang et al., CVPR 2020, https://arxiv.org/abs/2004.04581, and its published code.

    Shapes:
        cams: ``(..., H, W)`` float, any range.
        returns: the same shape, at most 1.

    Example:
        >>> normalize_cam(torch.tensor([[[0., 2.], [4., -1.]]])).round(decimals=2)
        tensor([[[-0.0000, 0.5000],
                 [1.0000, -0.0000]]])
    """
    cams = cams.relu()
    lo, hi = (x.unsqueeze(-1) for x in _extremes(cams))
    cams = torch.where(cams < lo + EPS, 0.0, cams)
    return (cams - lo - EPS) / (hi - lo + EPS)


def max_norm(cams: Tensor) -> Tensor:
    """Normalise maps to [0, 1] for the equivariant losses; the gradient flows through.

    Computes ``ReLU(ReLU(x) - lo - e) / (hi - lo + e)`` with the extremes of ``ReLU(x)`` and
    ``e = 1e-5``.

    Source: Wang et al., CVPR 2020, https://arxiv.org/abs/2004.04581, and its published code.

    Shapes:
        cams: ``(N, C, H, W)`` float, any range.
        returns: the same shape, in [0, 1].

    Example:
        >>> max_norm(torch.tensor([[[[0., 2.], [4., -1.]]]])).round(decimals=2)
        tensor([[[[0.0000, 0.5000],
                  [1.0000, 0.0000]]]])
    """
    cams = cams.relu()
    lo, hi = (x.unsqueeze(-1) for x in _extremes(cams))
    return (cams - lo - EPS).relu() / (hi - lo + EPS)


def min_max_norm(cams: Tensor, eps: float = EPS) -> Tensor:
    """Normalise summed class activation maps to [0, 1]: ``(x - lo) / (hi - lo + eps)``.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published code.

    Args:
        eps: Avoids division by zero.

    Shapes:
        cams: ``(..., H, W)`` float, any range.
        returns: the same shape, in [0, 1]; a constant map gives 0.

    Example:
        >>> min_max_norm(torch.tensor([[[2., 3.], [4., 2.]]])).round(decimals=2)
        tensor([[[0.0000, 0.5000],
                 [1.0000, 0.0000]]])
    """
    lo, hi = (x.unsqueeze(-1) for x in _extremes(cams))
    return (cams - lo) / (hi - lo + eps)


def keep_maximum(scores: Tensor) -> Tensor:
    """Set the background to ``1 - max`` and keep only the largest foreground score of each pixel.

    Exact ties are all kept.

    Source: Wang et al., CVPR 2020, Sec. 3.4, https://arxiv.org/abs/2004.04581

    Shapes:
        scores: ``(N, K + 1, H, W)`` float in [0, 1]; channel 0 is ignored.
        returns: the same shape.

    Example:
        >>> keep_maximum(torch.tensor([9., .2, .7]).view(1, 3, 1, 1)).flatten().round(decimals=2)
        tensor([0.3000, 0.0000, 0.7000])
    """
    foreground = scores[:, 1:]
    best = foreground.amax(dim=1, keepdim=True)
    foreground = torch.where(foreground < best, 0.0, foreground)
    return torch.cat([1 - best, foreground], dim=1)


def background_score(scores: Tensor, bg_score: float | Mapping[str, float]) -> Tensor:
    """Return the background score that normalised class activation maps compete with.

    Args:
        scores: Normalised maps without background.
        bg_score: A constant for every pixel, or ``dict(alpha=a)`` for
            ``(1 - max over classes) ** a``, where negative scores count as 0.

    Shapes:
        scores: ``(..., K, H, W)`` float, at most 1; K > 0 for ``dict(alpha=a)``.
        returns: ``(..., 1, H, W)`` float.

    Example:
        >>> background_score(torch.full((1, 1, 1), .5), dict(alpha=2)).item()
        0.25
    """
    if isinstance(bg_score, Mapping):
        best = scores.amax(dim=-3, keepdim=True).clamp(0, 1)
        return (1 - best) ** bg_score['alpha']
    return torch.full_like(scores[..., :1, :, :], float(bg_score))
