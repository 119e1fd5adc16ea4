"""Settings of pseudo masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from mmwsss.errors import UsageError
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


def background_scores(
    bg_score: float | str | None = None,
    bg_alpha: float | None = None,
    ignore: Sequence[float] | None = None,
) -> list[Any]:
    """Return one or two background scores, or the rule for it; one argument is to be given.

    Args:
        bg_score: Constant, or the name of a rule.
        bg_alpha: Exponent of the background score (1 - max) ** alpha.
        ignore: Two constants, what lies between them is ignored.

    Raises:
        UsageError: one is out of its range.
    """
    if bg_alpha is not None:
        if bg_alpha <= 0:
            raise UsageError(f'bg_alpha must be positive, got {bg_alpha:g}.')
        return [dict(alpha=bg_alpha)]
    if ignore is None:
        if bg_score in RULES:
            return [bg_score]
        if not 0 <= bg_score <= 1:
            raise UsageError(f'bg_score must lie in 0 to 1, got {bg_score:g}.')
        return [bg_score]
    low, high = ignore
    if not 0 <= low < high <= 1:
        raise UsageError(f'ignore takes LOW < HIGH, both in 0 to 1, got {low:g} {high:g}.')
    return [low, high]


def crf_settings(
    crf: str | None, crf_config: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return the settings of the CRF, None without one.

    Args:
        crf: ``labels`` or ``probs``, None without one unless there are settings of it.
        crf_config: Other settings of it, by dotted key.

    Raises:
        UsageError: there is no such setting, or its value is wrong.
    """
    if crf is None and not crf_config:
        return None
    kind = crf or 'labels'
    cfg = Config(CRF[kind])
    unknown = {key.split('.')[0] for key in crf_config or ()} - set(cfg.keys())
    if unknown:
        raise UsageError(
            f'crf_config has no {", ".join(sorted(unknown))} with crf {kind}; it has '
            f'{", ".join(sorted(cfg.keys()))}.'
        )
    try:
        cfg.merge_from_dict(crf_config or {})
        settings = cfg.to_dict()
        # with less than half, a label of two would be trusted less than the other
        trust = float(settings.pop('gt_prob', 0.7))
        DenseCRF(**settings)
    except (ValueError, TypeError, KeyError, ImportError) as error:
        raise UsageError(f'crf_config: {error}') from error
    if not 0.5 < trust < 1:
        raise UsageError(f'crf_config: gt_prob must lie between 0.5 and 1, got {trust:g}.')
    return cfg.to_dict()
