"""Applies any image refiner to the scores of a batch, before they become pseudo masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .dense_crf import DenseCRF
from .par import PAR


@torch.no_grad()
def refine_scores(
    refiner: nn.Module,
    images: Tensor,
    scores: Tensor,
    sizes: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    """Refine several sets of scores for each image of a batch.

    :class:`PAR` and its subclasses refine the whole batch at once. Any other refiner is called
    once per image, cropped to its size, with the B sets of scores as the batch: their classes
    compete in :class:`DenseCRF`.

    Args:
        sizes: Height and width of each image, which lies at the top left of its plane; the whole
            plane by default. The border must be repeated outside, as
            :func:`~mmwsss.ops.resize_boxes` does.

    Shapes:
        images: ``(N, 3, h, w)`` float RGB in [0, 1], resized in float; :class:`DenseCRF` gets them
            as uint8.
        scores: ``(N, B, C, h, w)`` float, for B background scores and C classes.
        returns: ``(N, B, C, h, w)`` float32.

    Example:
        >>> images, scores = torch.rand(1, 3, 4, 6), torch.ones(1, 2, 3, 4, 6)
        >>> refine_scores(PAR(1, [1], w3=0), images, scores).mean().round(decimals=4)
        tensor(1.)
    """
    if isinstance(refiner, PAR):
        return refiner(images, scores.flatten(1, 2), sizes).view_as(scores)
    whole = tuple(images.shape[2:])
    if isinstance(refiner, DenseCRF):
        images = (255 * images).round().to(torch.uint8)
    out = torch.zeros_like(scores, dtype=torch.float32)
    for i, (height, width) in enumerate(sizes or [whole] * len(images)):
        inside = (..., slice(height), slice(width))
        copies = images[i][inside].expand(scores.shape[1], -1, -1, -1).contiguous()
        out[i][inside] = refiner(copies, scores[i][inside].float())
    return out
