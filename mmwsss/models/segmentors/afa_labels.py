"""AFA's labels of a batch: the settings of training, when which loss acts, and the pseudo masks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.ops import (
    affinity_route_scores,
    cam_route_scores,
    min_max_norm,
    pad_tags,
    tagged_labels,
    valid_mask,
)
from mmwsss.ops.label_routes import BG_SCORES, Refine
from mmwsss.ops.valid_boxes import Boxes

ROUTES = ('cam', 'affinity')
TRAIN_DEFAULTS = dict(
    warmup_iters=2000,
    switch_iters=6000,
    pairs_from='cam',
    bg_scores=BG_SCORES,
)


def check_train_cfg(train_cfg: Mapping | None) -> ConfigDict:
    """Return AFA's settings of training with the defaults filled in.

    Args:
        train_cfg: See :class:`AFA`.

    Raises:
        ValueError: an unknown key, or a value out of its range.
    """
    cfg = ConfigDict({**TRAIN_DEFAULTS, **(train_cfg or {})})
    if unknown := set(cfg) - set(TRAIN_DEFAULTS):
        raise ValueError(
            f'AFA: train_cfg has no {", ".join(sorted(unknown))}; it has '
            f'{", ".join(sorted(TRAIN_DEFAULTS))}.'
        )
    if cfg.switch_iters is not None and cfg.switch_iters < cfg.warmup_iters:
        raise ValueError(
            'AFA: train_cfg.switch_iters must not be below warmup_iters, or None for never, got '
            f'{cfg.switch_iters} and {cfg.warmup_iters}.'
        )
    if cfg.pairs_from not in ROUTES:
        raise ValueError(
            f'AFA: train_cfg.pairs_from must be one of {ROUTES}, got {cfg.pairs_from!r}.'
        )
    scores = cfg.bg_scores
    if not isinstance(scores, Sequence) or len(scores) != 2 or not scores[0] < scores[1]:
        raise ValueError(
            f'AFA: train_cfg.bg_scores must be a low and a higher background score, got {scores}.'
        )
    return cfg


class Phase(NamedTuple):
    """What an iteration of the training learns from.

    Args:
        segmentation: Route to the pseudo masks of the decoder, None while tags alone are learned.
        pairs: Route to those that label pairs of cells.
    """

    segmentation: str | None
    pairs: str | None


def phase_of(iteration: float, cfg: Mapping) -> Phase:
    """Return what an iteration learns from.

    Source: Ru et al., CVPR 2022, Sec. 4.1, https://arxiv.org/abs/2203.02664, and its published
    code.

    Args:
        iteration: Counted from 0.
        cfg: ``warmup_iters``, ``switch_iters`` and ``pairs_from`` of :class:`AFA`.

    Example:
        >>> cfg = dict(warmup_iters=2000, switch_iters=6000, pairs_from='cam')
        >>> [phase_of(i, cfg).segmentation for i in (2000, 2001, 6000, 6001)]
        [None, 'cam', 'cam', 'affinity']
    """
    if iteration <= cfg['warmup_iters']:
        return Phase(None, None)
    if cfg['switch_iters'] is None or iteration <= cfg['switch_iters']:
        return Phase('cam', 'cam')
    return Phase('affinity', cfg['pairs_from'])


def training_iteration() -> float:
    """Return the iteration of MMEngine's runner, counted from 0; infinity where none trains.

    A runner that resumes sets it right. A loop of one's own says
    ``MessageHub.get_current_instance().update_info('iter', iteration)``.
    """
    return MessageHub.get_current_instance().get_info('iter', float('inf'))


def idle_loss(module: nn.Module, like: Tensor) -> Tensor:
    """Return 0 on the graph of all parameters of a module, without running it.

    Its parameters so have a gradient, of 0: processes that train together wait for it, and the
    moments of the optimiser are those of the published code, which multiplies losses by 0.

    Args:
        like: Tensor of the kind and device of the loss.
    """
    return sum((0 * parameter.sum() for parameter in module.parameters()), like.new_zeros(()))


def eight_bit_images(inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return the images that normalised inputs were made of, cut, not rounded, to 8 bits.

    Source: the published code of Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664

    Shapes:
        inputs: ``(N, 3, H, W)`` float.
        mean: ``(3, 1, 1)`` float, as ``std``.
        returns: ``(N, 3, H, W)`` float of the integers 0 to 255.

    Example:
        >>> mean, std = torch.full((3, 1, 1), 100.), torch.full((3, 1, 1), 50.)
        >>> eight_bit_images(torch.full((1, 3, 1, 1), .998), mean, std).flatten()
        tensor([149., 149., 149.])
    """
    return (inputs.float() * std + mean).clamp_(0, 255).trunc_()


class KnownImages(NamedTuple):
    """What is known of the images of a batch.

    Shapes:
        images: ``(N, 3, H, W)`` float, of :func:`eight_bit_images`.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        boxes: N valid boxes (top, left, bottom, right), integers on the CPU.
        valid: ``(N, 1, H, W)`` bool, where there is image and not padding.
    """

    images: Tensor
    classes: Tensor
    boxes: Boxes
    valid: Tensor


def known_images(
    images: Tensor, data_samples: Sequence[SegDataSample], tags: Tensor
) -> KnownImages:
    """Collect images, tags and valid boxes of a batch.

    Where samples have ``gt_label``, as ``PackWeakInputs`` makes it, nothing waits for values.

    Shapes:
        images: ``(N, 3, H, W)`` float, of :func:`eight_bit_images`.
        tags: ``(N, K)`` multi-hot.
    """
    size = tuple(images.shape[2:])
    classes = [
        sample.gt_label.to(tags.device) if 'gt_label' in sample else tag.nonzero().flatten()
        for sample, tag in zip(data_samples, tags, strict=True)
    ]
    boxes = [tuple(s.metainfo.get('valid_box', (0, 0, *size))) for s in data_samples]
    valid = valid_mask(torch.tensor(boxes).to(tags.device, non_blocking=True), size)
    return KnownImages(images, pad_tags(classes), boxes, valid)


class MultiScaleCAMs(NamedTuple):
    """Class activation maps of several scales and the affinity of the largest.

    Shapes:
        cams: ``(N, K, H, W)`` float at input size, the sum over scales, for
            :func:`~mmwsss.ops.min_max_norm`.
        affinity: ``(N, h * w, h * w)`` float in [0, 1].
        grid: ``(h, w)``, that of the last features at the largest scale.
    """

    cams: Tensor
    affinity: Tensor
    grid: tuple[int, int]


class Spreading(NamedTuple):
    """How maps spread along the affinity, see :func:`~mmwsss.ops.propagate_maps`.

    Args:
        radius: Of the square in which they spread, in cells.
        exponent: Of the affinities.
        eps: Added to the sum of the affinities.
    """

    radius: int
    exponent: float
    eps: float


@torch.no_grad()
def label_scores(
    known: KnownImages,
    found: MultiScaleCAMs,
    route: str,
    refine: Refine | None,
    *,
    spreading: Spreading,
    bg_scores: Sequence[float],
) -> Tensor:
    """Return the scores of which a route makes its pseudo masks.

    Source: Ru et al., CVPR 2022, Secs. 3.3 and 3.4, https://arxiv.org/abs/2203.02664

    Args:
        known: The images.
        found: What the network found in them.
        route: 'cam' or 'affinity'.
        refine: Of the routes, see :func:`~mmwsss.ops.cam_route_scores`.
        spreading: Of the affinity route.
        bg_scores: Constants that the maps compete with, low first.

    Shapes:
        returns: ``(N, len(bg_scores), 1 + S, H, W)`` float32.
    """
    images, cams, classes = known.images / 255, min_max_norm(found.cams), known.classes
    if route == 'cam':
        return cam_route_scores(images, cams, classes, refine, bg_scores=bg_scores)
    return affinity_route_scores(
        images,
        cams,
        found.affinity,
        classes,
        known.boxes,
        grid=found.grid,
        refine=refine,
        bg_scores=bg_scores,
        **spreading._asdict(),
    )


def pseudo_masks(
    known: KnownImages,
    found: MultiScaleCAMs,
    routes: Collection[str],
    refine: Refine | None,
    *,
    spreading: Spreading,
    bg_scores: Sequence[float],
) -> dict[str, Tensor]:
    """Make the pseudo masks of a batch.

    Args:
        known: The images.
        found: What the network found in them.
        routes: Which of 'cam' and 'affinity' to go.
        refine: See :func:`label_scores`, as the others.
        spreading: Of the affinity route.
        bg_scores: Low and high.

    Shapes:
        returns: of each route ``(N, H, W)`` uint8: 0, index of the class + 1, or 255.
    """
    settings = dict(spreading=spreading, bg_scores=bg_scores)
    return {
        route: tagged_labels(
            label_scores(known, found, route, refine, **settings), known.classes, known.valid
        )
        for route in routes
    }


def decoder_loss(head: BaseDecodeHead, logits: Tensor, target: Tensor) -> Tensor:
    """Return the sum of a decode head's losses on pseudo masks.

    Args:
        head: The decode head, with one loss or several.

    Shapes:
        logits: ``(N, K + 1, h, w)`` float, resized to the masks' size here.
        target: ``(N, H, W)`` integers.
    """
    logits = F.interpolate(
        logits, target.shape[1:], mode='bilinear', align_corners=head.align_corners
    )
    losses = head.loss_decode
    losses = losses if isinstance(losses, nn.ModuleList) else [losses]
    target = target.long()
    return sum(loss(logits, target, ignore_index=head.ignore_index) for loss in losses)
