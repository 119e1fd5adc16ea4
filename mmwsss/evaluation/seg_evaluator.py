"""Evaluator of several metrics that knows which of them writes masks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import Evaluator
from mmseg.registry import EVALUATOR, METRICS


def with_output_dir(metrics: Sequence[dict], folder: str, *, keep_results: bool) -> list[dict]:
    """Return configs of metrics, of which the one that writes masks has the folder.

    Where none does, one that writes anything else (the curves of ``CAMMetric``) gets it.

    Args:
        metrics: Configs; they are not changed.
        folder: Where the files go.
        keep_results: Sets the option of MMSegmentation's ``IoUMetric`` where there is one.

    Raises:
        ValueError: none of them writes files.
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
    """MMEngine's evaluator, with the options that MMSegmentation's test tool sets.

    Its ``--out`` writes into the config of one metric, which a list of metrics is not:
    ``test_evaluator = dict(type='SegEvaluator', metrics=[...])`` takes the folder and hands it to
    the metric that writes masks.

    Args:
        metrics: Configs of the metrics, or one.
        output_dir: Folder for the masks; None writes none.
        keep_results: Set where ``output_dir`` is, see :func:`with_output_dir`.

    Raises:
        ValueError: a folder, and no metric that writes files.
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
