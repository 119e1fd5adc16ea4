"""Metric of the image-level labels that a model predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmseg.registry import METRICS


@METRICS.register_module()
class ImageLabelMetric(BaseMetric):
    """Precision, recall and F1 of the predicted tags: means over images, in per cent.

    Reads ``pred_score`` (K,), the probability of each class, and ``gt_score``, the image's tags.
    An image has F1 = 2 TP / (predicted + true), 0 where both are none. Returns ``tags/F1``,
    ``tags/precision`` and ``tags/recall``; nothing where predictions have no scores, as those of
    test-time augmentation.

    Args:
        threshold: Probability from which on a class is predicted.
        collect_device: As in mmengine's ``BaseMetric``.
        prefix: Put before the names of the figures, with a slash, instead of ``tags``.

    Raises:
        ValueError: a threshold out of 0 to 1.

    Example:
        >>> import torch
        >>> metric = ImageLabelMetric()
        >>> sample = dict(pred_score=torch.tensor([.9, .6]), gt_score=torch.tensor([1., 0.]))
        >>> metric.process({}, [sample])
        >>> metric.compute_metrics(metric.results)
        {'F1': 66.67, 'precision': 50.0, 'recall': 100.0}
    """

    default_prefix = 'tags'

    def __init__(
        self,
        threshold: float = 0.5,
        *,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not 0 <= threshold <= 1:
            raise ValueError(f'ImageLabelMetric: threshold must lie in 0 to 1, got {threshold}.')
        self.threshold = threshold

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add the images of a batch.

        Args:
            data_batch: Not used.
            data_samples: Predictions with the truth.

        Raises:
            ValueError: a sample has no tags.
        """
        for sample in data_samples:
            if 'gt_score' not in sample:
                raise ValueError(
                    f'image {sample.get("img_path", "(no path)")} has no gt_score: '
                    'ImageLabelMetric needs a data set with tags and PackWeakInputs.'
                )
            counts = (np.nan, np.nan, np.nan)
            if 'pred_score' in sample:
                predicted = (sample['pred_score'] >= self.threshold).cpu().numpy()
                true = (sample['gt_score'] > 0).cpu().numpy()
                counts = ((predicted & true).sum(), predicted.sum(), true.sum())
            # one entry an image: mmengine drops the duplicates that a sampler padded with
            self.results.append(counts)

    def compute_metrics(self, results: list[tuple[float, float, float]]) -> dict[str, float]:
        """Return the figures of all images.

        Args:
            results: True positives, predicted and true classes of each image.
        """
        counts = np.array(results, dtype=float).reshape(-1, 3)
        if np.isnan(counts).any():
            MMLogger.get_current_instance().info(
                'ImageLabelMetric: the predictions have no image scores; test without --tta.'
            )
            return {}
        right, predicted, true = counts.T
        figures = dict(
            F1=2 * right / np.maximum(predicted + true, 1),
            precision=right / np.maximum(predicted, 1),
            recall=right / np.maximum(true, 1),
        )
        return {name: round(float(x.mean()) * 100, 2) for name, x in figures.items()}
