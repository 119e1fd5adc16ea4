"""Random change of colours, as torchvision's ``ColorJitter`` does it, and of HSV."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

Image = NDArray[Any]


def adjust_brightness(image: Image, factor: float) -> Image:
    """Multiply an image by a factor.

    Args:
        image: ``(H, W, 3)`` uint8.
        factor: 0 gives black, 1 the image.
    """
    return cv2.convertScaleAbs(image, alpha=factor)


def adjust_contrast(image: Image, factor: float) -> Image:
    """Blend an image with the mean of its grey values.

    Args:
        image: ``(H, W, 3)`` uint8, BGR.
        factor: 0 gives uniform grey, 1 the image.
    """
    mean = int(cv2.mean(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))[0] + 0.5)
    # a table of 256 values: a sum below 0 must become 0, not its absolute value
    values = np.arange(256, dtype=np.float32) * factor + mean * (1 - factor)
    return cv2.LUT(image, np.clip(np.rint(values), 0, 255).astype(np.uint8))


def adjust_saturation(image: Image, factor: float) -> Image:
    """Blend an image with its grey version.

    Args:
        image: ``(H, W, 3)`` uint8, BGR.
        factor: 0 gives grey, 1 the image.
    """
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(image, factor, grey, 1 - factor, 0)


def adjust_hue(image: Image, shift: float) -> Image:
    """Turn the hues of an image.

    MMCV 2.1 has a function of that name that fails with NumPy 2 for negative shifts.

    Args:
        image: ``(H, W, 3)`` uint8, BGR.
        shift: Part of the full circle, -0.5 to 0.5.
    """
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL))
    table = ((np.arange(256) + int(shift * 255)) % 256).astype(np.uint8)
    turned = cv2.merge([cv2.LUT(hue, table), saturation, value])
    return cv2.cvtColor(turned, cv2.COLOR_HSV2BGR_FULL)


@TRANSFORMS.register_module()
class JitterColor(BaseTransform):
    """Change brightness, contrast, saturation and hue at random, in random order.

    The distribution is that of torchvision's ``ColorJitter``; the colours agree with it within
    rounding (hue: within the rounding of 8-bit HSV).

    Args:
        brightness: Factors are drawn from [max(0, 1 - brightness), 1 + brightness].
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: Shifts are drawn from [-hue, hue] parts of the circle, at most 0.5.

    Raises:
        ValueError: a negative range, or a hue above 0.5.
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        *,
        saturation: float = 0.0,
        hue: float = 0.0,
    ) -> None:
        ranges = {
            'brightness': brightness,
            'contrast': contrast,
            'saturation': saturation,
            'hue': hue,
        }
        for name, value in ranges.items():
            limit = 0.5 if name == 'hue' else float('inf')
            if not 0 <= value <= limit:
                raise ValueError(
                    f'{type(self).__name__}: received {name}={value} where 0 to {limit} is '
                    'expected.'
                )
        self.ranges = ranges

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change the colours of the image.

        Args:
            results: Data info with ``img``, uint8 BGR.
        """
        functions: dict[str, Callable[[Image, float], Image]] = {
            'brightness': adjust_brightness,
            'contrast': adjust_contrast,
            'saturation': adjust_saturation,
            'hue': adjust_hue,
        }
        names = [name for name, value in self.ranges.items() if value > 0]
        for index in np.random.permutation(len(names)):
            name = names[index]
            center = 0.0 if name == 'hue' else 1.0
            low, high = center - self.ranges[name], center + self.ranges[name]
            factor = np.random.uniform(low if name == 'hue' else max(low, 0.0), high)
            results['img'] = functions[name](results['img'], float(factor))
        return results

    def __repr__(self) -> str:
        arguments = ', '.join(f'{name}={value}' for name, value in self.ranges.items())
        return f'{type(self).__name__}({arguments})'


@TRANSFORMS.register_module()
class JitterHSV(BaseTransform):
    """Add a random whole number to each of hue, saturation and value.

    Args:
        delta: Largest number, in either direction: steps of 2 degrees for the hue, which goes
            round, levels of 256 for saturation and value, which stop at their ends.

    Raises:
        ValueError: ``delta`` is not in 1 to 90.
    """

    def __init__(self, delta: int = 10) -> None:
        if not 1 <= delta <= 90:
            raise ValueError(
                f'{type(self).__name__}: received delta={delta} where 1 to 90 is expected.'
            )
        self.delta = delta

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change the colours of the image.

        Args:
            results: Data info with ``img``, uint8 BGR.
        """
        hue, saturation, value = np.random.randint(-self.delta, self.delta + 1, 3)
        levels = np.arange(256)
        tables = [(levels + hue) % 180, levels + saturation, levels + value]
        table = np.stack(tables, axis=-1).clip(0, 255).astype(np.uint8)
        hsv = cv2.LUT(cv2.cvtColor(results['img'], cv2.COLOR_BGR2HSV), table[None])
        results['img'] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(delta={self.delta})'
