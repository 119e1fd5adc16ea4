"""Training phases of ToCo, and its labels from the maps of the tagged classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from torch import Tensor

from mmwsss.ops import (
    pair_label_matrix,
    patches_inside,
    region_map,
    threshold_labels,
)

from .online_labels import fill_train_cfg

TRAIN_DEFAULTS = dict(warmup_iters=2000, switch_iters=-1, bg_scores=(0.25, 0.7))


def check_train_cfg(train_cfg: Mapping | None) -> ConfigDict:
    """Return ``train_cfg`` of :class:`ToCo` with the defaults filled in.

    Raises:
        ValueError: a key is unknown or a value out of range.
    """
    return fill_train_cfg('ToCo', train_cfg, TRAIN_DEFAULTS)


class Phase(NamedTuple):
    """What an iteration learns from besides the tags.

    Args:
        contrast: Whether patch and class tokens are contrasted.
        masks: Source of the pseudo masks, ``cam`` or ``aux_cam``; None during warm-up.
    """

    contrast: bool
    masks: str | None


def phase_of(iteration: float, cfg: Mapping) -> Phase:
    """Return the phase of an iteration.

    Source: the published code of Ru et al., CVPR 2023, https://arxiv.org/abs/2303.01267

    Args:
        iteration: Counted from 0.
        cfg: ``warmup_iters`` and ``switch_iters`` of :class:`ToCo`.

    Example:
        >>> cfg = dict(warmup_iters=8000, switch_iters=12000)
        >>> [tuple(phase_of(i, cfg)) for i in (8000, 8001, 12001)]
        [(False, None), (False, 'aux_cam'), (True, 'cam')]
    """
    last = cfg['switch_iters'] is not None and iteration > cfg['switch_iters']
    if iteration <= cfg['warmup_iters']:
        return Phase(last, None)
    return Phase(last, 'cam' if last else 'aux_cam')


class TaggedCAMs(NamedTuple):
    """Normalised class activation maps of the tagged classes.

    Shapes:
        cam: ``(N, S, H, W)`` float in [0, 1], of the last features.
        aux_cam: The same, of the auxiliary head.
        places: ``(N, S)`` int64, the index of each map, or -1 for padding. Replaces ``classes`` in
            functions that take maps of all classes.
    """

    cam: Tensor
    aux_cam: Tensor
    places: Tensor


def tag_places(classes: Tensor) -> Tensor:
    """Number the tagged classes of each image.

    Shapes:
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        returns: ``(N, S)`` int64.

    Example:
        >>> tag_places(torch.tensor([[3, 14], [7, -1]])).tolist()
        [[0, 1], [0, -1]]
    """
    return torch.arange(classes.shape[1], device=classes.device).where(classes >= 0, classes)


def pick_tagged(maps: Tensor, classes: Tensor) -> Tensor:
    """Return the maps of the tagged classes; maps at padding are arbitrary.

    Shapes:
        maps: ``(N, heads, K, h, w)``.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        returns: ``(N, heads, S, h, w)``.
    """
    images = torch.arange(len(maps), device=maps.device)[:, None]
    return maps.transpose(1, 2)[images, classes].transpose(1, 2)


@torch.no_grad()
def pair_labels_of_cells(
    found: TaggedCAMs, valid: Tensor, grid: tuple[int, int], cfg: Mapping
) -> Tensor:
    """Label all pairs of different cells using the auxiliary maps.

    Cells that are mostly padding are ignored.

    Source: Ru et al., CVPR 2023, https://arxiv.org/abs/2303.01267, and its published code.

    Args:
        grid: Rows and columns of cells.
        cfg: ``bg_scores`` of :class:`ToCo`.

    Shapes:
        valid: ``(N, 1, H, W)`` bool, False in the padding.
        returns: ``(N, h * w, h * w)`` uint8 of :func:`~mmwsss.ops.pair_label_matrix`.
    """
    maps = F.interpolate(found.aux_cam, grid, mode='bilinear', align_corners=False)
    labels = threshold_labels(maps, found.places, cfg['bg_scores'], patches_inside(valid, grid))
    return pair_label_matrix(labels, grid, with_self=False)


def regions_of(found: TaggedCAMs, cfg: Mapping) -> Tensor:
    """Return the :func:`~mmwsss.ops.region_map` of the auxiliary maps.

    Args:
        cfg: ``bg_scores`` of :class:`ToCo`.
    """
    return region_map(found.aux_cam, found.places, *cfg['bg_scores'])
