"""Random change of colours as in torchvision's ``ColorJitter``, of HSV, blur and solarisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageFilter

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


def _factor_range(
    transform: BaseTransform, name: str, value: float | Sequence[float]
) -> tuple[float, float]:
    """Return the smallest and the largest factor."""
    if isinstance(value, Sequence):
        if len(value) != 2 or not 0 <= value[0] <= value[1]:
            raise ValueError(
                f'{type(transform).__name__}: received {name}={tuple(value)} where a smallest and '
                'a largest factor, not negative, are expected.'
            )
        return float(value[0]), float(value[1])
    if not value >= 0:
        raise ValueError(
            f'{type(transform).__name__}: received {name}={value} where 0 to inf is expected.'
        )
    return max(1.0 - value, 0.0), 1.0 + value


def _shift_range(transform: BaseTransform, hue: float) -> tuple[float, float]:
    """Return the smallest and the largest shift of the hue."""
    if not 0 <= hue <= 0.5:
        raise ValueError(
            f'{type(transform).__name__}: received hue={hue} where 0 to 0.5 is expected.'
        )
    return -hue, hue


@TRANSFORMS.register_module()
class JitterColor(BaseTransform):
    """Change brightness, contrast, saturation and hue at random, in random order.

    The distribution is that of torchvision's ``ColorJitter``; the colours agree with it within
    rounding (hue: within the rounding of 8-bit HSV).

    Args:
        brightness: Factors are drawn from [max(0, 1 - brightness), 1 + brightness]; a pair names
            the smallest and the largest factor.
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: Shifts are drawn from [-hue, hue] parts of the circle, at most 0.5.
        gray_prob: Probability to take the colours away at the end.

    Raises:
        ValueError: a negative range, a pair out of order, a hue above 0.5, or no probability.
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0.0,
        contrast: float | Sequence[float] = 0.0,
        *,
        saturation: float | Sequence[float] = 0.0,
        hue: float = 0.0,
        gray_prob: float = 0.0,
    ) -> None:
        factors = {'brightness': brightness, 'contrast': contrast, 'saturation': saturation}
        self.ranges = {name: _factor_range(self, name, value) for name, value in factors.items()}
        self.ranges['hue'] = _shift_range(self, hue)
        if not 0 <= gray_prob <= 1:
            raise ValueError(
                f'{type(self).__name__}: received gray_prob={gray_prob} where 0 to 1 is expected.'
            )
        self.gray_prob = gray_prob

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
        # a factor of 1 and a shift of 0 change nothing
        names = [name for name, ends in self.ranges.items() if set(ends) - {float(name != 'hue')}]
        for index in np.random.permutation(len(names)):
            factor = np.random.uniform(*self.ranges[names[index]])
            results['img'] = functions[names[index]](results['img'], float(factor))
        if self.gray_prob and np.random.uniform() < self.gray_prob:
            results['img'] = adjust_saturation(results['img'], 0.0)
        return results

    def __repr__(self) -> str:
        ends = {**self.ranges, 'hue': self.ranges['hue'][1]}
        arguments = ', '.join(f'{name}={value}' for name, value in ends.items())
        return f'{type(self).__name__}({arguments}, gray_prob={self.gray_prob})'


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


@TRANSFORMS.register_module()
class BlurImage(BaseTransform):
    """Blur the image by PIL's approximate Gaussian of a random radius.

    Source: Ru et al. (ToCo), CVPR 2023, https://arxiv.org/abs/2303.01267, published code.

    Args:
        min_radius: Smallest standard deviation in pixels.
        max_radius: Largest one; the radius is uniform between them.

    Raises:
        ValueError: not ``0 <= min_radius <= max_radius``.
    """

    def __init__(self, min_radius: float = 0.1, max_radius: float = 2.0) -> None:
        if not 0 <= min_radius <= max_radius:
            raise ValueError(
                f'{type(self).__name__}: received min_radius={min_radius} and max_radius='
                f'{max_radius} where 0 <= min_radius <= max_radius is expected.'
            )
        self.min_radius = min_radius
        self.max_radius = max_radius

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Blur the image.

        Args:
            results: Data info with ``img``, uint8.
        """
        radius = np.random.uniform(self.min_radius, self.max_radius)
        image = PILImage.fromarray(np.ascontiguousarray(results['img']))
        results['img'] = np.array(image.filter(ImageFilter.GaussianBlur(radius)))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_radius={self.min_radius}, max_radius={self.max_radius})'


@TRANSFORMS.register_module()
class SolarizeImage(BaseTransform):
    """Turn levels from a threshold on into 255 minus themselves.

    Source: Ru et al. (ToCo), CVPR 2023, https://arxiv.org/abs/2303.01267, published code.

    Args:
        threshold: First level that is turned, 0 to 255.

    Raises:
        ValueError: the threshold is out of range.
    """

    def __init__(self, threshold: int = 128) -> None:
        if not 0 <= threshold <= 255:
            raise ValueError(
                f'{type(self).__name__}: received threshold={threshold} where 0 to 255 is expected.'
            )
        self.threshold = threshold

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Solarise the image.

        Args:
            results: Data info with ``img``, uint8.
        """
        results['img'] = mmcv.solarize(results['img'], self.threshold)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(threshold={self.threshold})'
