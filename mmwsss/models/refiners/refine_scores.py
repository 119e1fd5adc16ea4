"""Any refiner on the scores of a batch of which pseudo masks are made."""

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
    """Refine the scores of a batch of images, several sets of each, along their colours.

    :class:`PAR` and what is made of it refines the batch at once. Another refiner sees each image
    by itself, cut to its size, with a set of scores as one of a batch: :class:`DenseCRF`, where
    the classes of a set compete, or a module that is called as PAR is.

    Args:
        sizes: Height and width of each image, which begins at the top left of its plane; the whole
            plane by default. Its border is repeated outside, as :func:`~mmwsss.ops.resize_boxes`
            does.

    Shapes:
        images: ``(N, 3, h, w)`` float RGB in [0, 1].
        scores: ``(N, B, C, h, w)`` float, of B background scores and C classes.
        returns: ``(N, B, C, h, w)`` float32.
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
