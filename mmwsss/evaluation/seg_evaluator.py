"""Evaluator of several metrics, one of which writes masks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import Evaluator
from mmseg.registry import EVALUATOR, METRICS


def with_output_dir(metrics: Sequence[dict], folder: str, *, keep_results: bool) -> list[dict]:
    """Return the configs of metrics with ``output_dir`` set for the one that writes masks.

    If none does, the folder is set for a metric that writes other files, such as the curves of
    ``CAMMetric``.

    Args:
        metrics: Configs; not modified.
        folder: Output folder.
        keep_results: Value of ``keep_results`` of MMSegmentation's ``IoUMetric``, if present.

    Raises:
        ValueError: no metric writes files.
    """
    writers = []
    for place, cfg in enumerate(metrics):
        metric = METRICS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
        options = inspect.signature(metric).parameters if metric else {}
        if 'output_dir' in options:
            # what can be told to write nothing but files writes masks
            writers.append(('format_only' not in options, place, options))
    if not writers:
        raise ValueError(
            'writing masks needs a metric with output_dir, such as MaskMetric; this config has '
            f'{", ".join(str(cfg["type"]) for cfg in metrics) or "none"}.'
        )
    _, chosen, options = min(writers, key=lambda writer: writer[:2])
    extra = dict(keep_results=True) if keep_results and 'keep_results' in options else {}
    return [
        {**cfg, 'output_dir': folder, **extra} if place == chosen else cfg
        for place, cfg in enumerate(metrics)
    ]


@EVALUATOR.register_module()
class SegEvaluator(Evaluator):
    """MMEngine's evaluator with the options that MMSegmentation's test tool sets.

    ``--out`` of that tool only supports a single metric. With
    ``test_evaluator = dict(type='SegEvaluator', metrics=[...])``, the folder is passed to the
    metric that writes masks.

    Args:
        metrics: Configs of the metrics, or a single config.
        output_dir: Folder for the masks; None writes no masks.
        keep_results: Set together with ``output_dir``, see :func:`with_output_dir`.

    Raises:
        ValueError: ``output_dir`` is given, but no metric writes files.
    """

    def __init__(
        self,
        metrics: dict | Sequence[Any],
        *,
        output_dir: str | None = None,
        keep_results: bool = False,
    ) -> None:
        if output_dir is not None:
            metrics = [metrics] if isinstance(metrics, dict) else metrics
            metrics = with_output_dir(metrics, output_dir, keep_results=keep_results)
        super().__init__(metrics)
