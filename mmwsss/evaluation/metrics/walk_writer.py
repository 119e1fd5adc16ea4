"""Writer of random walks, one file an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmseg.registry import METRICS, MODELS

from mmwsss.datasets import image_id
from mmwsss.evaluation.cam_files import CAMFileError, cam_file_name, read_cam_file, write_cam_file
from mmwsss.evaluation.metrics.cam_metric import plane
from mmwsss.evaluation.metrics.cam_writer import CAMWriter


@METRICS.register_module()
class WalkWriter(CAMWriter):
    """Spread the maps of files along what a network predicts, and write them as such files.

    Args:
        out_dir: Folder of the files.
        cam_dir: Folder of the maps, ``.npz`` files of ``tools/make_cams.py``.
        walk: Config of the refiner, ``CAMWalk``.
        dtype: ``float16`` or ``float32``.

    Raises:
        ValueError: both folders are the same, or dtype is neither.
    """

    def __init__(self, out_dir: str, cam_dir: str, *, walk: dict, dtype: str = 'float16') -> None:
        super().__init__(out_dir, dtype=dtype)
        self.cam_dir = Path(cam_dir)
        if self.cam_dir.resolve() == self.out_dir.resolve():
            raise ValueError(
                f'WalkWriter: out_dir {out_dir} is the folder of the maps; choose another one.'
            )
        self.walk = MODELS.build(walk)

    def _read(self, path: Path, sample: dict) -> tuple[np.ndarray, np.ndarray]:
        """Return keys and maps of an image, of its size."""
        keys, cams = read_cam_file(path, len(self.dataset_meta['classes']))
        height, width = sample['ori_shape'][:2]
        if cams.shape[1:] != (height, width):
            raise CAMFileError(
                f'{path}: the maps are {cams.shape[2]} x {cams.shape[1]} where the image '
                f'{sample["img_path"]} is {width} x {height}: give the maps of this data set.'
            )
        return keys, cams

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Walk and write the files of a batch.

        Args:
            data_batch: Not used.
            data_samples: Predictions of AffinityNet or IRN.

        Raises:
            FileNotFoundError: an image has no file of maps.
            CAMFileError: a file is damaged, or of another data set.
            ValueError: the model predicts no such affinities.
        """
        key = self.walk.guide_key
        hint = f'WalkWriter needs a model that predicts {key}, as the config of the walk says.'
        for sample in data_samples:
            name = cam_file_name(image_id(sample['img_path']))
            guide = plane(sample, key, hint)[None]
            keys, cams = self._read(self.cam_dir / name, sample)
            maps = torch.from_numpy(cams).to(guide.device)[None]
            walked = self.walk(None, maps, guide)[0]
            write_cam_file(self.out_dir / name, keys, walked.cpu().numpy(), dtype=self.dtype)
            self.written += 1
