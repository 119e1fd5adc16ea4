"""Random colour changes (torchvision's ``ColorJitter``, HSV), blur and solarisation."""

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

from mmwsss.utils import check_number

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
    # a lookup table, because OpenCV would map sums below 0 to their absolute value
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
    """Shift the hues of an image.

    The function of the same name in MMCV 2.1 fails with NumPy 2 for negative shifts.

    Args:
        image: ``(H, W, 3)`` uint8, BGR.
        shift: Fraction of the full circle, -0.5 to 0.5.
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
                f'{type(transform).__name__}: {name} must be a smallest and a largest factor, not '
                f'negative, got {tuple(value)}.'
            )
        return float(value[0]), float(value[1])
    check_number(f'{type(transform).__name__}: {name}', value, 0)
    return max(1.0 - value, 0.0), 1.0 + value


@TRANSFORMS.register_module()
class JitterColor(BaseTransform):
    """Change brightness, contrast, saturation and hue randomly, in random order.

    Follows the distribution of torchvision's ``ColorJitter``; results agree up to rounding (of
    8-bit HSV for the hue).

    Args:
        brightness: Factors are drawn from [max(0, 1 - brightness), 1 + brightness], or from the
            range given by a pair.
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: Shifts are drawn from [-hue, hue], in fractions of the circle, at most 0.5.
        gray_prob: Probability of converting the result to greyscale.

    Raises:
        ValueError: a range is negative or out of order, ``hue`` exceeds 0.5, or ``gray_prob`` is
            not in [0, 1].
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
        check_number(f'{type(self).__name__}: hue', hue, 0, 0.5)
        check_number(f'{type(self).__name__}: gray_prob', gray_prob, 0, 1)
        self.ranges['hue'] = -hue, hue
        self.gray_prob = gray_prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change the colours of ``img``, uint8 BGR."""
        functions: dict[str, Callable[[Image, float], Image]] = {
            'brightness': adjust_brightness,
            'contrast': adjust_contrast,
            'saturation': adjust_saturation,
            'hue': adjust_hue,
        }
        # skip constant factors of 1 and shifts of 0
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
    """Add a random integer to each of hue, saturation and value.

    Args:
        delta: Largest change in either direction, in steps of 2 degrees for the hue, which wraps
            around, and of 1 / 255 for saturation and value, which are clipped.

    Raises:
        ValueError: ``delta`` is not in 1 to 90.
    """

    def __init__(self, delta: int = 10) -> None:
        check_number(f'{type(self).__name__}: delta', delta, 1, 90)
        self.delta = delta

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change the colours of ``img``, uint8 BGR."""
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
    """Blur the image with PIL's approximate Gaussian of a random radius.

    Source: Ru et al. (ToCo), CVPR 2023, https://arxiv.org/abs/2303.01267, published code.

    Args:
        min_radius: Smallest standard deviation in pixels.
        max_radius: Largest standard deviation.

    Raises:
        ValueError: the range is empty or negative.
    """

    def __init__(self, min_radius: float = 0.1, max_radius: float = 2.0) -> None:
        if not 0 <= min_radius <= max_radius:
            raise ValueError(
                f'{type(self).__name__}: min_radius and max_radius must satisfy 0 <= min_radius '
                f'<= max_radius, got {min_radius} and {max_radius}.'
            )
        self.min_radius = min_radius
        self.max_radius = max_radius

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Blur ``img``, uint8."""
        radius = np.random.uniform(self.min_radius, self.max_radius)
        image = PILImage.fromarray(np.ascontiguousarray(results['img']))
        results['img'] = np.array(image.filter(ImageFilter.GaussianBlur(radius)))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_radius={self.min_radius}, max_radius={self.max_radius})'


@TRANSFORMS.register_module()
class SolarizeImage(BaseTransform):
    """Invert all values from a threshold on.

    Source: Ru et al. (ToCo), CVPR 2023, https://arxiv.org/abs/2303.01267, published code.

    Args:
        threshold: Smallest value to invert, 0 to 255.

    Raises:
        ValueError: ``threshold`` is out of range.
    """

    def __init__(self, threshold: int = 128) -> None:
        check_number(f'{type(self).__name__}: threshold', threshold, 0, 255)
        self.threshold = threshold

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Solarise ``img``, uint8."""
        results['img'] = mmcv.solarize(results['img'], self.threshold)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(threshold={self.threshold})'
