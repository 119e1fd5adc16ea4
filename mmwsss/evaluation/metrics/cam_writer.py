"""Writer of class activation maps, one file an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmengine.dist import get_world_size
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS

from mmwsss.datasets import image_id
from mmwsss.evaluation.cam_files import DTYPES, cam_file_name, write_cam_file
from mmwsss.evaluation.metrics.cam_metric import plane
from mmwsss.evaluation.predictions import check_finite


@METRICS.register_module()
class CAMWriter(BaseMetric):
    """Write the normalised maps of every image instead of measuring something.

    Written are the classes that the image is tagged with and, where the model does not use
    tags, those that it predicted. Beside other metrics in ``test_evaluator`` it keeps the maps
    of a test run.

    Args:
        out_dir: Folder of the files.
        layout: ``npz``, ``irn`` or ``psa``, see :func:`write_cam_file`.
        dtype: ``float16`` or ``float32``, of ``npz``.

    Raises:
        ValueError: layout or dtype is none of these.
    """

    default_prefix = ''

    def __init__(self, out_dir: str, *, layout: str = 'npz', dtype: str = 'float16') -> None:
        super().__init__()
        cam_file_name('', layout)
        if dtype not in DTYPES:
            raise ValueError(f'CAMWriter: dtype must be one of {", ".join(DTYPES)}, got {dtype!r}.')
        self.out_dir = Path(out_dir)
        self.layout = layout
        self.dtype = dtype
        self.written = 0

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Write the files of a batch.

        Args:
            data_batch: Not used.
            data_samples: Predictions.

        Raises:
            ValueError: the model does not predict class activation maps.
            PredictionError: they are not finite.
        """
        hint = "CAMWriter needs a model with CAMs and test_cfg=dict(output='cam')."
        for sample in data_samples:
            check_finite(sample)
            plane(sample, 'cams', hint)
            scores = plane(sample, 'seg_logits', hint)[1:].float()
            # a map that was suppressed is -1 everywhere
            present = scores.flatten(1).amax(dim=1) > -1
            if 'gt_score' in sample:
                present |= sample['gt_score'].to(present.device) > 0
            keys = present.nonzero().flatten()
            write_cam_file(
                self.out_dir / cam_file_name(image_id(sample['img_path']), self.layout),
                keys.cpu().numpy(),
                scores[keys].cpu().numpy(),
                layout=self.layout,
                dtype=self.dtype,
            )
            self.written += 1

    def compute_metrics(self, results: list) -> dict:
        """Return nothing: there is nothing to measure."""
        return {}

    def evaluate(self, size: int) -> dict[str, int]:
        """Return the number of files that all processes wrote.

        Args:
            size: Not used: files need not be collected.
        """
        written = torch.tensor(self.written)
        if get_world_size() > 1:
            if torch.distributed.get_backend() == 'nccl':
                written = written.cuda()
            torch.distributed.all_reduce(written)
        self.written = 0
        return dict(files=int(written))
