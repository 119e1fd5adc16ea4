"""Resizing with the sizes and the interpolation of published code."""

from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
from mmcv.image import geometric
from mmcv.transforms import BaseTransform, processing
from mmseg.registry import TRANSFORMS

from mmwsss.utils import check_number, limited_size

_scaled_size = geometric._scale_size
_INTERPOLATIONS = ('nearest', 'bilinear', 'bicubic', 'box', 'lanczos', 'hamming')


def _at_least_a_pixel(size: tuple[int, int], scale: Any) -> tuple[int, int]:
    width, height = _scaled_size(size, scale)
    return max(width, 1), max(height, 1)


def install_long_pictures() -> None:
    """Make MMCV's resizing keep at least one pixel of the shorter side of very long images."""
    geometric._scale_size = processing._scale_size = _at_least_a_pixel


def resize_results(results: dict[str, Any], size: tuple[int, int], interpolation: str) -> None:
    """Resize ``img``, and ``gt_seg_map`` if present, with PIL.

    Also sets ``img_shape``, ``scale``, ``scale_factor`` and ``keep_ratio``, like MMCV's
    ``Resize``.

    Args:
        size: Width and height.
        interpolation: Name of PIL's filter for the image; masks use the nearest pixel.
    """
    height, width = results['img'].shape[:2]
    if size != (width, height):
        results['img'] = mmcv.imresize(
            results['img'], size, interpolation=interpolation, backend='pillow'
        )
        if results.get('gt_seg_map') is not None:
            results['gt_seg_map'] = mmcv.imresize(
                results['gt_seg_map'], size, interpolation='nearest', backend='pillow'
            )
    results['img_shape'] = (size[1], size[0])
    results['scale'] = size
    results['scale_factor'] = (size[0] / width, size[1] / height)
    results['keep_ratio'] = True


def check_interpolation(transform: BaseTransform, name: str) -> None:
    """Check that PIL has a filter.

    Args:
        transform: Named in the error.

    Raises:
        ValueError: the filter is unknown.
    """
    if name not in _INTERPOLATIONS:
        raise ValueError(
            f'{type(transform).__name__}: interpolation must be one of '
            f'{", ".join(_INTERPOLATIONS)}, got {name!r}.'
        )


class _ResizeImage(BaseTransform):
    """Base of transforms that resize the image and its mask to the size that ``_size`` returns."""

    def __init__(self, interpolation: str) -> None:
        check_interpolation(self, interpolation)
        self.interpolation = interpolation

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the result."""
        raise NotImplementedError

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize ``img``, and ``gt_seg_map`` if present."""
        height, width = results['img'].shape[:2]
        resize_results(results, self._size(width, height), self.interpolation)
        return results

    def __repr__(self) -> str:
        settings = ', '.join(f'{name}={value!r}' for name, value in vars(self).items())
        return f'{type(self).__name__}({settings})'


@TRANSFORMS.register_module()
class ResizeLongSide(_ResizeImage):
    """Resize the longer side to a random length.

    Source: Wang et al., CVPR 2020, Sec. 4.1, https://arxiv.org/abs/2004.04581

    Args:
        min_size: Smallest length of the longer side in pixels.
        max_size: Largest length, inclusive.
        interpolation: PIL's filter for the image.

    Raises:
        ValueError: ``min_size`` is not in 1 to ``max_size``, or the filter is unknown.
    """

    def __init__(self, min_size: int, max_size: int, *, interpolation: str = 'bicubic') -> None:
        if not 1 <= min_size <= max_size:
            raise ValueError(
                f'{type(self).__name__}: min_size and max_size must satisfy 1 <= min_size <= '
                f'max_size, got {min_size} and {max_size}.'
            )
        self.min_size = min_size
        self.max_size = max_size
        super().__init__(interpolation)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        long, side = int(np.random.randint(self.min_size, self.max_size + 1)), max(width, height)
        return max(round(width * long / side), 1), max(round(height * long / side), 1)


@TRANSFORMS.register_module()
class ScaleImage(_ResizeImage):
    """Scale the image by a fixed factor, with sides rounded half to even.

    Args:
        scale_factor: Factor of both sides.
        size_divisor: Sides are rounded up to multiples of it.
        interpolation: PIL's filter for the image.

    Raises:
        ValueError: the factor or divisor is not positive, or the filter is unknown.
    """

    def __init__(
        self, scale_factor: float, size_divisor: int = 1, *, interpolation: str = 'bicubic'
    ) -> None:
        if not (scale_factor > 0 and size_divisor >= 1):
            raise ValueError(
                f'{type(self).__name__}: scale_factor must be positive and size_divisor at least '
                f'1, got {scale_factor} and {size_divisor}.'
            )
        self.scale_factor = scale_factor
        self.size_divisor = size_divisor
        super().__init__(interpolation)

    def _side(self, length: int) -> int:
        side = max(round(length * self.scale_factor), 1)
        return -(-side // self.size_divisor) * self.size_divisor

    def _size(self, width: int, height: int) -> tuple[int, int]:
        return self._side(width), self._side(height)


@TRANSFORMS.register_module()
class RandomScaleImage(_ResizeImage):
    """Scale the image by a random factor from a uniform distribution; sides are rounded down.

    Source: Ru et al., CVPR 2022, Sec. 4.1, https://arxiv.org/abs/2203.02664

    Args:
        min_factor: Smallest factor of both sides.
        max_factor: Largest factor.
        interpolation: PIL's filter for the image; all but ``nearest`` smooth when downscaling.

    Raises:
        ValueError: the range is empty or not positive, or the filter is unknown.
    """

    def __init__(
        self, min_factor: float, max_factor: float, *, interpolation: str = 'bilinear'
    ) -> None:
        if not 0 < min_factor <= max_factor:
            raise ValueError(
                f'{type(self).__name__}: min_factor and max_factor must satisfy 0 < min_factor <= '
                f'max_factor, got {min_factor} and {max_factor}.'
            )
        self.min_factor = min_factor
        self.max_factor = max_factor
        super().__init__(interpolation)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        factor = np.random.uniform(self.min_factor, self.max_factor)
        return max(int(width * factor), 1), max(int(height * factor), 1)


@TRANSFORMS.register_module()
class LimitLongSide(_ResizeImage):
    """Downscale images whose longer side exceeds a limit.

    A network trained on photographs of 500 pixels performs poorly on the much larger images of a
    phone. Predictions still have the size ``ori_shape``.

    Args:
        max_size: Limit for the longer side in pixels.
        interpolation: PIL's filter for the image.

    Raises:
        ValueError: ``max_size`` is below 1, or the filter is unknown.
    """

    def __init__(self, max_size: int, *, interpolation: str = 'bicubic') -> None:
        check_number(f'{type(self).__name__}: max_size', max_size, 1)
        self.max_size = max_size
        super().__init__(interpolation)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        return limited_size((width, height), self.max_size)
