"""Random resized crops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmwsss.utils import check_number

from .cropping import place_crop
from .resizing import check_interpolation, resize_results

TRIES = 10


def draw_part(
    size: tuple[int, int], scale: Sequence[float], ratio: Sequence[float]
) -> tuple[int, int]:
    """Draw the width and height of a crop: area uniform, aspect ratio log-uniform.

    Returns the first of ten draws that fits, otherwise the largest crop with an allowed aspect
    ratio.

    Args:
        size: Width and height of the image.
        scale: Smallest and largest fraction of the area of the image.
        ratio: Smallest and largest width over height.
    """
    width, height = size
    areas = width * height * np.random.uniform(scale[0], scale[1], TRIES)
    ratios = np.exp(np.random.uniform(math.log(ratio[0]), math.log(ratio[1]), TRIES))
    sides = np.rint(np.sqrt([areas * ratios, areas / ratios])).astype(int)
    fits = ((sides > 0) & (sides <= [[width], [height]])).all(axis=0)
    if fits.any():
        drawn = sides[:, fits.argmax()]
        return int(drawn[0]), int(drawn[1])
    widest, highest = max(round(height * ratio[1]), 1), max(round(width / ratio[0]), 1)
    return min(width, widest), min(height, highest)


@TRANSFORMS.register_module()
class ZoomIntoPart(BaseTransform):
    """Take a random crop and resize it to a square, like torchvision's ``RandomResizedCrop``.

    An existing ``valid_box`` is transformed as well; it becomes empty if the crop contains only
    padding.

    Source: Szegedy et al., CVPR 2015, https://arxiv.org/abs/1409.4842

    Args:
        size: Side of the result in pixels.
        scale: Smallest and largest fraction of the area to crop.
        ratio: Smallest and largest width over height.
        interpolation: PIL's filter for the image.

    Raises:
        ValueError: ``size`` is below 1, ``scale`` not in (0, 1], ``ratio`` not positive, a pair is
            out of order, or the filter is unknown.
    """

    def __init__(
        self,
        size: int,
        scale: Sequence[float] = (0.08, 1.0),
        *,
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = 'bilinear',
    ) -> None:
        check_number(f'{type(self).__name__}: size', size, 1)
        for name, pair, limit in (('scale', scale, 1), ('ratio', ratio, np.inf)):
            if len(pair) != 2 or not 0 < pair[0] <= pair[1] <= limit:
                raise ValueError(
                    f'{type(self).__name__}: {name} must be a smallest and a largest value in '
                    f'(0, {limit}], got {tuple(pair)}.'
                )
        check_interpolation(self, interpolation)
        self.size = size
        self.interpolation = interpolation
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop and resize ``img``, and ``gt_seg_map`` if present."""
        height, width = results['img'].shape[:2]
        part = draw_part((width, height), self.scale, self.ratio)[::-1]
        top, left = (
            place_crop(whole, n)[0] for n, whole in zip(part, (height, width), strict=True)
        )
        for key in ('img', 'gt_seg_map'):
            if results.get(key) is not None:
                results[key] = results[key][top : top + part[0], left : left + part[1]]
        box = np.array(results.get('valid_box', (0, 0, height, width))).reshape(2, 2)
        box = ((box - [top, left]) * self.size / np.array(part)).round().clip(0, self.size)
        resize_results(results, (self.size, self.size), self.interpolation)
        results['keep_ratio'] = False
        results['valid_box'] = tuple(box.astype(int).flatten().tolist())
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, scale={self.scale}, ratio={self.ratio}, '
            f'interpolation={self.interpolation!r})'
        )
