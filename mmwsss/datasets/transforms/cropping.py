"""Random cropping with padding that records the image area of the crop."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmwsss.utils import check_number

from ..masks import IGNORE_INDEX


def place_crop(length: int, crop: int) -> tuple[int, int, int]:
    """Draw the position of a crop, or of the image in the crop if the image is smaller.

    Args:
        length: Side of the image.
        crop: Side of the crop.

    Returns:
        Start in the image, start in the crop, and the length of the overlap.
    """
    if length > crop:
        return int(np.random.randint(length - crop + 1)), 0, crop
    return 0, int(np.random.randint(crop - length + 1)), length


@TRANSFORMS.register_module()
class CropWithValidBox(BaseTransform):
    """Take a random crop of fixed size; smaller images are placed at random and padded.

    Adds ``valid_box``, the image area of the crop as (top, left, bottom, right), bottom and right
    exclusive. The padding is ``pad_value`` in the image, 255 in a mask and 0 in affinity scores;
    for methods that crop after normalisation, ``WeakDataPreProcessor`` can set it to the mean
    colour.

    Source: ``RandomCrop`` of https://github.com/YudeWang/SEAM

    Args:
        crop_size: Side of the crop, or (height, width).
        pad_value: Value of the padding in all channels, 0 to 255.

    Raises:
        ValueError: a side is below 1, or ``pad_value`` is out of range.
    """

    def __init__(self, crop_size: int | tuple[int, int], pad_value: int = 0) -> None:
        size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(size) != 2 or min(size) < 1:
            raise ValueError(
                f'{type(self).__name__}: crop_size must be a side or (height, width) of at least '
                f'1, got {crop_size}.'
            )
        check_number(f'{type(self).__name__}: pad_value', pad_value, 0, 255)
        self.crop_size = size
        self.pad_value = pad_value

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop ``img``, and ``gt_seg_map`` and ``gt_affinity_scores`` if present."""
        image = results['img']
        rows, columns = (
            place_crop(length, crop)
            for length, crop in zip(image.shape[:2], self.crop_size, strict=True)
        )
        source = tuple(slice(start, start + n) for start, _, n in (rows, columns))
        target = tuple(slice(put, put + n) for _, put, n in (rows, columns))
        padding = {'img': self.pad_value, 'gt_seg_map': IGNORE_INDEX, 'gt_affinity_scores': 0}
        for key, value in padding.items():
            whole = results.get(key)
            if whole is not None:
                crop = np.full((*self.crop_size, *whole.shape[2:]), value, dtype=whole.dtype)
                crop[target] = whole[source]
                results[key] = crop
        results['img_shape'] = self.crop_size
        results['valid_box'] = (
            target[0].start,
            target[1].start,
            target[0].stop,
            target[1].stop,
        )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size}, pad_value={self.pad_value})'
