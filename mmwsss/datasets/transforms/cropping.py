"""Cropping that remembers which part of the crop holds image."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ..masks import IGNORE_INDEX


def place_crop(length: int, crop: int) -> tuple[int, int, int]:
    """Draw where a side is cut or, where it is shorter than the crop, put.

    Args:
        length: Side of the image.
        crop: Side of the crop.

    Returns:
        Start in the image, start in the crop, and the length that both share.
    """
    if length > crop:
        return int(np.random.randint(length - crop + 1)), 0, crop
    return 0, int(np.random.randint(crop - length + 1)), length


@TRANSFORMS.register_module()
class CropWithValidBox(BaseTransform):
    """Cut a crop of fixed size at a random place; smaller images are put at a random place.

    Adds ``valid_box`` = (top, left, bottom, right) in the crop, the last two exclusive. What lies
    outside gets ``pad_value`` in the image, 255 in a mask and 0 in affinity scores;
    ``WeakDataPreProcessor`` sets the image there to the mean colour where a method crops after
    normalising.

    Source: ``RandomCrop`` of https://github.com/YudeWang/SEAM

    Args:
        crop_size: Side of the crop, or (height, width).
        pad_value: Level of the padding, 0 to 255, in all channels.

    Raises:
        ValueError: a side below 1, or a level out of range.
    """

    def __init__(self, crop_size: int | tuple[int, int], pad_value: int = 0) -> None:
        size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(size) != 2 or min(size) < 1:
            raise ValueError(
                f'{type(self).__name__}: received crop_size={crop_size} where a side or (height, '
                'width) of at least 1 is expected.'
            )
        if not 0 <= pad_value <= 255:
            raise ValueError(
                f'{type(self).__name__}: received pad_value={pad_value} where 0 to 255 is expected.'
            )
        self.crop_size = size
        self.pad_value = pad_value

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop the image, and the mask or affinity scores where they are loaded.

        Args:
            results: Data info with ``img``.
        """
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
