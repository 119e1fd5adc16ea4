"""Packing of images with their image-level labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import to_tensor
from mmseg.datasets.transforms import PackSegInputs, formatting
from mmseg.registry import TRANSFORMS

from ..image_names import image_id

WEAK_META_KEYS = (
    'img_path',
    'img_id',
    'seg_map_path',
    'ori_shape',
    'img_shape',
    'pad_shape',
    'scale_factor',
    'flip',
    'flip_direction',
    'reduce_zero_label',
    'valid_box',
)
# additional views of the image, see AddView
VIEWS = ('second_view', 'local_view')


def _to_tensor(data: Any) -> torch.Tensor:
    """Convert to a tensor like MMCV, but also support flipped images of width 1.

    NumPy 2.3 reports such a view as contiguous although its stride is negative, so MMSegmentation
    1.2 and 1.4 do not copy it.
    """
    if isinstance(data, np.ndarray) and min(data.strides, default=0) < 0:
        data = data.copy()
    return to_tensor(data)


def install_mirrored_packing() -> None:
    """Make MMSegmentation's packing support flipped images of width 1."""
    formatting.to_tensor = _to_tensor


@TRANSFORMS.register_module()
class PackWeakInputs(PackSegInputs):
    """MMSeg's ``PackSegInputs`` with image-level labels.

    If available, the sample contains the tensors ``gt_label``, ``gt_score``, ``second_view`` and
    ``local_view``, and ``gt_sem_seg``. Its metainfo includes ``img_id`` and ``valid_box``, by
    default the whole image.

    Shapes:
        inputs: ``(3, H, W)`` uint8, BGR.
        gt_label: ``(n,)`` int64, sorted foreground indices.
        gt_score: ``(K,)`` float32, multi-hot.
        second_view, local_view: ``(3, H, W)`` uint8, BGR, of :class:`AddView`.

    Raises:
        ValueError: ``num_classes`` is missing, or a label is out of range.
    """

    def __init__(self, meta_keys: Sequence[str] = WEAK_META_KEYS) -> None:
        super().__init__(meta_keys=tuple(meta_keys))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the results of a pipeline; requires ``img``."""
        extra: dict[str, Any] = {}
        if isinstance(results.get('img_path'), str):
            extra['img_id'] = image_id(results['img_path'])
        if 'valid_box' not in results:
            extra['valid_box'] = (0, 0, *results['img'].shape[:2])
        packed = super().transform({**results, **extra})
        if 'gt_label' in results:
            packed['data_samples'].set_data(self._pack_labels(results))
        for name in VIEWS:
            if name in results:
                view = np.ascontiguousarray(results[name].transpose(2, 0, 1))
                packed['data_samples'].set_data({name: torch.from_numpy(view)})
        return packed

    def _pack_labels(self, results: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Return the indices and the multi-hot vector."""
        num_foreground = results.get('num_classes', 0) - 1
        label = torch.tensor(results['gt_label'], dtype=torch.int64)
        if num_foreground < 1 or (
            label.numel() and not 0 <= label.min() <= label.max() < num_foreground
        ):
            raise ValueError(
                f'{type(self).__name__}: image {results.get("img_path")} has '
                f'gt_label={results["gt_label"]} and num_classes={results.get("num_classes")}, but '
                'labels must be indices from 0 to num_classes - 2: use an ImageLevelDataset, '
                'which provides both.'
            )
        score = torch.zeros(num_foreground)
        score[label] = 1.0
        return {'gt_label': label, 'gt_score': score}
