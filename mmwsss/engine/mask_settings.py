"""Settings of pseudo masks, as the command line names them."""

from __future__ import annotations

import argparse
from typing import Any

from mmengine.config import Config

from mmwsss.engine.launch import UsageError
from mmwsss.evaluation.background_threshold import RULES
from mmwsss.models.refiners import DenseCRF

GAUSSIAN = dict(sxy=3, weight=3)
# labels: SemFormer's; probs: SEAM's
CRF = dict(
    labels=dict(
        num_iters=1,
        gt_prob=0.7,
        gaussian=GAUSSIAN,
        bilateral=dict(sxy=50, srgb=5, weight=10),
        backend='torch',
    ),
    probs=dict(
        num_iters=10,
        gaussian=GAUSSIAN,
        bilateral=dict(sxy=80, srgb=13, weight=10),
        backend='torch',
    ),
)


def background_scores(args: argparse.Namespace) -> list[Any]:
    """Return the one or two background scores that the command line names, or the rule for it.

    Args:
        args: ``bg_score``, ``bg_alpha`` and ``ignore``.

    Raises:
        UsageError: one is out of its range.
    """
    if args.bg_alpha is not None:
        if args.bg_alpha <= 0:
            raise UsageError(f'--bg-alpha must be positive, got {args.bg_alpha:g}.')
        return [dict(alpha=args.bg_alpha)]
    if args.ignore is None:
        if args.bg_score in RULES:
            return [args.bg_score]
        if not 0 <= args.bg_score <= 1:
            raise UsageError(f'--bg-score must lie in 0 to 1, got {args.bg_score:g}.')
        return [args.bg_score]
    low, high = args.ignore
    if not 0 <= low < high <= 1:
        raise UsageError(f'--ignore takes LOW < HIGH, both in 0 to 1, got {low:g} {high:g}.')
    return [low, high]


def crf_settings(args: argparse.Namespace) -> dict[str, Any] | None:
    """Return the settings of the CRF, None without one.

    Args:
        args: ``crf`` and ``crf_config``.

    Raises:
        UsageError: there is no such setting, or its value is wrong.
    """
    if args.crf is None and not args.crf_config:
        return None
    kind = args.crf or 'labels'
    cfg = Config(CRF[kind])
    unknown = {key.split('.')[0] for key in args.crf_config or ()} - set(cfg.keys())
    if unknown:
        raise UsageError(
            f'--crf-config has no {", ".join(sorted(unknown))} with --crf {kind}; it has '
            f'{", ".join(sorted(cfg.keys()))}.'
        )
    try:
        cfg.merge_from_dict(args.crf_config or {})
        settings = cfg.to_dict()
        # with less than half, a label of two would be trusted less than the other
        trust = float(settings.pop('gt_prob', 0.7))
        DenseCRF(**settings)
    except (ValueError, TypeError, KeyError, ImportError) as error:
        raise UsageError(f'--crf-config: {error}') from error
    if not 0.5 < trust < 1:
        raise UsageError(f'--crf-config: gt_prob must lie between 0.5 and 1, got {trust:g}.')
    return cfg.to_dict()
