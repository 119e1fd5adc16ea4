"""AFA's labels of a batch: the settings of training, when which loss acts, and the pseudo masks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from torch import Tensor, nn

from mmwsss.ops import min_max_norm, tagged_labels

from .afa_routes import BG_SCORES, Refine, affinity_route_scores, cam_route_scores
from .online_labels import KnownImages

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
        refine: Of the routes, see :func:`cam_route_scores`.
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
