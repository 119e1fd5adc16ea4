"""Scores of background and classes for pseudo masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .cam import background_score


def background_stacks(cams: Tensor, bg_scores: Sequence[float | Mapping[str, float]]) -> Tensor:
    """Prepend each background score to the maps of an image.

    Args:
        cams: Normalised maps of the tagged classes of an image.
        bg_scores: Constants, or ``dict(alpha=a)``, see :func:`background_score`.

    Shapes:
        cams: ``(n, H, W)`` float.
        returns: ``(len(bg_scores), n + 1, H, W)`` float in [0, 1], background first.

    Example:
        >>> cams = torch.tensor([.2, .7]).view(2, 1, 1)
        >>> background_stacks(cams, [.5, dict(alpha=2)]).squeeze().round(decimals=2)
        tensor([[0.5000, 0.2000, 0.7000],
                [0.0900, 0.2000, 0.7000]])
    """
    # amax fails for an image without any class
    best = cams.amax(dim=0, keepdim=True) if len(cams) else cams.new_zeros(1, *cams.shape[1:])
    stacks = [torch.cat([background_score(best, score), cams]) for score in bg_scores]
    return torch.stack(stacks).clamp(0, 1)
