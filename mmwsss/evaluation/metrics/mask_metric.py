"""MMSeg's IoU metric that says when figures mean nothing, and writes masks as other tools do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from mmwsss.datasets import image_id
from mmwsss.datasets.class_palettes import write_mask_file
from mmwsss.evaluation.mask_scores import truth_note
from mmwsss.evaluation.predictions import check_finite, check_ignored


@METRICS.register_module()
class MaskMetric(IoUMetric):
    """IoU of predicted masks, which are written as palette PNG files.

    MMSeg's metric writes grey pictures in place of the colours of the data set, and its
    ``format_only`` needs a folder. The values are the same, in whole numbers of pixels
    (:func:`~mmwsss.evaluation.mask_scores.class_areas`).

    Args:
        output_dir: Folder for the masks, ``{image}.png``; None writes none.
        format_only: Evaluate nothing: there are no true masks.
        **kwargs: Arguments of MMSeg's ``IoUMetric``.
    """

    default_prefix = ''

    def __init__(
        self, *, output_dir: str | None = None, format_only: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(format_only=format_only, **kwargs)
        self.folder = None if output_dir is None else Path(output_dir)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compare and write the masks of a batch.

        Args:
            data_batch: Not used.
            data_samples: Predictions.

        Raises:
            MaskError: a file cannot be written, or a prediction is not finite.
            ValueError: ``ignore_index`` is one of the classes.
        """
        check_ignored(self, self.ignore_index, len(self.dataset_meta['classes']))
        for sample in data_samples:
            check_finite(sample)
        super().process(data_batch, data_samples)
        if self.folder is None:
            return
        for sample in data_samples:
            mask = sample['pred_sem_seg']['data'][0].cpu().numpy()
            path = self.folder / f'{image_id(sample["img_path"])}.png'
            write_mask_file(path, mask.astype(np.uint8), self.dataset_meta['palette'])

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return MMSeg's figures, and say where they mean nothing.

        Args:
            results: Areas of each image.
        """
        if not self.format_only and (note := truth_note(sum(areas[3] for areas in results))):
            MMLogger.get_current_instance().warning(note)
        return super().compute_metrics(results)

    def evaluate(self, size: int) -> dict[str, float]:
        """Return MMSeg's figures, none with ``format_only``.

        Args:
            size: Number of images.
        """
        if self.folder is not None:
            MMLogger.get_current_instance().info(f'The masks are in {self.folder}.')
        return {} if self.format_only else super().evaluate(size)
