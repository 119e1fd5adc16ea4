"""Metric of class activation maps at every background score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable
from torch import Tensor

from mmwsss.evaluation.cam_curve import (
    DEFAULT_THRESHOLDS,
    CAMCurve,
    cam_curve,
    cam_histogram,
    check_thresholds,
)
from mmwsss.evaluation.curve_files import write_curve
from mmwsss.evaluation.erosion import check_erosion
from mmwsss.evaluation.mask_scores import truth_note
from mmwsss.evaluation.predictions import check_finite, check_ignored
from mmwsss.utils import ModelMismatchError


def plane(sample: dict, field: str, hint: str) -> Tensor:
    """Return the data of a field of a sample in dict form.

    Args:
        sample: Sample as metrics get it.
        field: Name of a ``PixelData``.
        hint: What to do where it is missing.

    Raises:
        ValueError: the sample has no such field.
    """
    if field not in sample:
        raise ValueError(f'image {sample.get("img_path", "(no path)")} has no {field}: {hint}')
    return sample[field]['data']


@METRICS.register_module()
class CAMMetric(BaseMetric):
    """mIoU, over- and under-activation of class activation maps at every background score.

    Reads ``seg_logits`` (background first, then the normalised maps), ``gt_score`` (the image's
    tags) and ``gt_sem_seg``. Returns ``cam/mIoU`` (per cent, the best of all thresholds, over all
    classes of the data set), ``cam/threshold``, where it was reached, and there ``cam/m_FP`` and
    ``cam/m_FN``, and ``cam/FP`` and ``cam/FN`` (per cent, shares of the union, over all classes).
    Any number of processes gives the same figures.

    Source: Wang et al., CVPR 2020, Sec. 4.2, Eqs. 13 and 14, https://arxiv.org/abs/2004.04581;
    FP and FN: Chen et al., 2022, Tables 12 and 13, https://arxiv.org/abs/2210.14618

    Args:
        thresholds: Background scores; 0.01, 0.02 ... 0.99 by default (0.59 as published), and
            1 to 9 thousandths and ten-thousandths.
        ignore_index: Value of masks that is left out.
        use_image_labels: Only classes that the image is tagged with compete, where it has tags.
        erosion: Side of the square that class masks are eroded by, see
            :func:`~mmwsss.evaluation.erosion.erode_best`; 7 for SemFormer's published figures.
        output_dir: Folder for ``curve.csv`` and ``curve.png``.
        collect_device: As in mmengine's ``BaseMetric``.
        prefix: Put before the names of the figures, with a slash, instead of ``cam``.

    Raises:
        ValueError: thresholds that do not increase, or an even ``erosion``.

    Example:
        >>> scores = torch.tensor([[[.2, .2]], [[.1, .6]]])  # background, one class
        >>> sample = dict(
        ...     seg_logits=dict(data=scores), gt_sem_seg=dict(data=torch.tensor([[[0, 1]]]))
        ... )
        >>> metric = CAMMetric(thresholds=[0., .3])
        >>> metric.dataset_meta = dict(classes=('background', 'dog'))
        >>> metric.process({}, [sample])
        >>> int(metric.results[0][1].sum())  # pixels counted; evaluate() gives the figures
        2
    """

    # IoUMetric beside it has an mIoU, too
    default_prefix = 'cam'

    def __init__(
        self,
        thresholds: Sequence[float] = DEFAULT_THRESHOLDS,
        ignore_index: int = 255,
        *,
        use_image_labels: bool = True,
        erosion: int = 0,
        output_dir: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.thresholds = tuple(float(t) for t in thresholds)
        self.edges = check_thresholds(self.thresholds)
        self.ignore_index = ignore_index
        self.use_image_labels = use_image_labels
        self.erosion = check_erosion(erosion)
        self.output_dir = output_dir

    def _scores(self, sample: dict) -> tuple[Tensor, Tensor]:
        """Return the maps of the classes that compete, and these, ``(n,)`` int64."""
        logits = plane(
            sample, 'seg_logits', 'CAMMetric needs a model that predicts class activation maps.'
        )
        classes = len(self.dataset_meta['classes'])
        if len(logits) != classes:
            raise ModelMismatchError(
                f'CAMMetric: the model predicts {len(logits)} classes but the data set has '
                f'{classes}, background included: set num_classes={classes} in the model.'
            )
        keys = torch.arange(classes - 1, device=logits.device)
        if self.use_image_labels and 'gt_score' in sample:
            keys = keys[sample['gt_score'].to(logits.device) > 0]
        return logits[1 + keys].float(), keys

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add a batch: the histogram of each image, by its non-zero entries.

        Args:
            data_batch: Not used.
            data_samples: Predictions with the truth.

        Raises:
            ValueError: a sample has no mask or no maps, or they do not fit; ``ignore_index`` is a
                class.
            PredictionError: maps are not finite.
        """
        check_ignored(self, self.ignore_index, len(self.dataset_meta['classes']))
        for sample in data_samples:
            check_finite(sample)
            scores, keys = self._scores(sample)
            target = plane(
                sample,
                'gt_sem_seg',
                'CAMMetric needs masks: set data_prefix.seg_map_path of the data set and load '
                'them in the pipeline.',
            )
            target = target.squeeze(0).to(scores.device)
            try:
                counts = cam_histogram(
                    scores,
                    target,
                    self.edges,
                    ignore=self.ignore_index,
                    keys=keys,
                    num_classes=len(self.dataset_meta['classes']),
                    erosion=self.erosion,
                )
            except ValueError as error:
                path = sample.get('img_path', '(no path)')
                raise ValueError(f'CAMMetric: image {path}: {error}.') from error
            counts = counts.flatten()
            found = counts.nonzero().flatten()
            # one entry an image: mmengine drops the duplicates that a sampler padded with
            self.results.append((found.cpu().numpy(), counts[found].cpu().numpy()))

    def compute_metrics(self, results: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        """Return the figures of all images, log the table and write the curve.

        Args:
            results: Positions and values of the non-zero entries of each image's histogram.
        """
        foreground = len(self.dataset_meta['classes']) - 1
        shape = (foreground + 1, foreground, len(self.thresholds) + 1)
        total = np.zeros(shape, dtype=np.int64)
        for positions, values in results:
            total.reshape(-1)[positions] += values
        curve = cam_curve(total, self.thresholds)
        self._log(curve)
        if self.output_dir is not None:
            self._write(curve, Path(self.output_dir))
        best = curve.best
        return dict(
            mIoU=round(float(curve.miou[best]) * 100, 4),
            threshold=self.thresholds[best],
            m_FP=round(float(curve.m_fp[best]), 4),
            m_FN=round(float(curve.m_fn[best]), 4),
            FP=round(float(curve.fp[best]) * 100, 4),
            FN=round(float(curve.fn[best]) * 100, 4),
        )

    def _log(self, curve: CAMCurve) -> None:
        best = curve.best
        tp, pred, gt = (x[best] for x in (curve.tp, curve.pred, curve.gt))
        with np.errstate(divide='ignore', invalid='ignore'):
            ratios = ((pred - tp) / tp, (gt - tp) / tp)
        table = PrettyTable()
        table.add_column('Class', list(self.dataset_meta['classes']))
        table.add_column('IoU', [f'{x:.2f}' for x in curve.iou[best] * 100])
        for name, ratio in zip(('FP/TP', 'FN/TP'), ratios, strict=True):
            table.add_column(name, [f'{x:.2f}' if np.isfinite(x) else '-' for x in ratio])
        logger = MMLogger.get_current_instance()
        if note := truth_note(gt):
            logger.warning(note)
        print_log(f'class activation maps at background score {curve.thresholds[best]:g}:', logger)
        print_log('\n' + table.get_string(), logger)
        print_log(
            f'm_FP and m_FN are means over the {curve.num_found[best]} foreground classes with a '
            'true positive',
            logger,
        )

    @staticmethod
    def _write(curve: CAMCurve, folder: Path) -> None:
        # matplotlib takes a second to import
        from mmwsss.visualization import plot_threshold_curves, save_figure

        write_curve(folder / 'curve.csv', curve)
        figure = plot_threshold_curves({'CAM': (curve.thresholds, curve.miou * 100)})
        save_figure(figure, folder / 'curve.png')
