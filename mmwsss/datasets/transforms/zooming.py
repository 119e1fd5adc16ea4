"""Zooming into a part of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from .cropping import place_crop
from .resizing import check_interpolation, resize_results

TRIES = 10


def draw_part(
    size: tuple[int, int], scale: Sequence[float], ratio: Sequence[float]
) -> tuple[int, int]:
    """Draw width and height of a part of an image: area uniform, aspect ratio log-uniform.

    Of ten draws the first that fits counts; where none does, the largest part of an allowed
    aspect ratio is taken.

    Args:
        size: Width and height of the image.
        scale: Smallest and largest share of the image's area.
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
    """Cut a random part and resize it to a square, as torchvision's ``RandomResizedCrop`` does.

    A ``valid_box`` of a crop before goes along; it is empty where the part holds nothing of the
    image.

    Source: Szegedy et al., CVPR 2015, https://arxiv.org/abs/1409.4842

    Args:
        size: Side of the result in pixels.
        scale: Smallest and largest share of the area that is cut.
        ratio: Smallest and largest width over height.
        interpolation: Filter of PIL for the image.

    Raises:
        ValueError: a side below 1, shares that are not in (0, 1], ratios that are not positive, a
            pair out of order, or an unknown filter.
    """

    def __init__(
        self,
        size: int,
        scale: Sequence[float] = (0.08, 1.0),
        *,
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = 'bilinear',
    ) -> None:
        if size < 1:
            raise ValueError(f'{type(self).__name__}: received size={size} where 1 is the least.')
        for name, pair, limit in (('scale', scale, 1), ('ratio', ratio, np.inf)):
            if len(pair) != 2 or not 0 < pair[0] <= pair[1] <= limit:
                raise ValueError(
                    f'{type(self).__name__}: received {name}={tuple(pair)} where the smallest and '
                    f'the largest of above 0 to {limit} are expected.'
                )
        check_interpolation(self, interpolation)
        self.size = size
        self.interpolation = interpolation
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut and resize the image, and the mask where one is loaded.

        Args:
            results: Data info with ``img``.
        """
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
