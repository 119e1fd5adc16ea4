"""Pseudo masks from class activation maps or random walks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmwsss.datasets.masks import check_num_classes
from mmwsss.models.refiners import PAR, DenseCRF
from mmwsss.ops import background_stacks, combine_seed_labels, label_probs


def refine_cams(image: Tensor, cams: Tensor, par: PAR) -> Tensor:
    """Refine maps with PAR so that they follow the colours of the image.

    PAR scales constant maps by the same factor everywhere. The result is divided by this factor, so
    that it can be compared with a background score that was not refined.

    Args:
        cams: Normalised maps.

    Shapes:
        image: ``(3, H, W)`` uint8 RGB.
        cams: ``(n, H, W)`` float.
        returns: ``(n, H, W)`` float32.
    """
    constant = cams.new_ones(1, *cams.shape[1:])
    *refined, unit = par(image[None] / 255, torch.cat([cams, constant])[None])[0]
    return torch.stack(refined) / unit if refined else cams


def _refine(image: Tensor, stacks: Tensor, crf: DenseCRF, gt_prob: float | None) -> Tensor:
    """Return the stacks after the CRF; computes the kernels of the image only once."""
    kernels = crf.kernels(image[None])
    if gt_prob is not None:
        labels = stacks.argmax(dim=1)
        stacks = label_probs(labels, stacks.shape[1], gt_prob=gt_prob)
    return torch.cat([crf.refine(kernels, scores[None]) for scores in stacks])


def pseudo_mask(
    image: Tensor,
    keys: NDArray[np.int64],
    cams: Tensor,
    *,
    bg_scores: Sequence[float | Mapping[str, float]],
    crf: DenseCRF | None = None,
    gt_prob: float | None = None,
) -> NDArray[np.uint8]:
    """Compute the pseudo mask of an image.

    With two background scores, low and high, a pixel gets the class that wins at the high score,
    the background if it wins at the low score, and 255 otherwise.

    Source: Ahn et al., CVPR 2019, https://arxiv.org/abs/1904.05044; SemFormer's published code

    Args:
        image: Image; only used by a CRF.
        keys: Foreground indices of the maps.
        cams: Normalised maps.
        bg_scores: One or two background scores, see
            :func:`~mmwsss.ops.background_stacks`.
        crf: Refines the scores, or the labels with ``gt_prob``.
        gt_prob: Confidence in the labels from which the CRF starts; None starts from scores.

    Shapes:
        image: ``(3, H, W)`` uint8 RGB.
        keys: ``(n,)`` int64.
        cams: ``(n, H, W)`` float32.
        returns: ``(H, W)`` uint8: 0, 1 + key, or 255.

    Example:
        >>> image, cams = torch.zeros(3, 1, 3, dtype=torch.uint8), torch.tensor([[[.1, .3, .8]]])
        >>> pseudo_mask(image, np.array([14]), cams, bg_scores=[.25]).tolist()
        [[0, 15, 15]]
        >>> pseudo_mask(image, np.array([14]), cams, bg_scores=[.2, .5]).tolist()
        [[0, 255, 15]]
    """
    check_num_classes(int(keys.max(initial=0)) + 2, 'pseudo_mask')
    stacks = background_stacks(cams, bg_scores)
    if crf is not None and len(keys):  # else there is nothing to decide
        stacks = _refine(image, stacks, crf, gt_prob)
    classes = torch.from_numpy(np.concatenate([[0], keys + 1]))
    masks = classes[stacks.argmax(dim=1)]
    # one score agrees with itself
    return combine_seed_labels(masks[-1], masks[0]).numpy()
