"""Strong random augmentation of whole images, as in timm's training of transformers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image as PILImage
from PIL import ImageEnhance, ImageOps

from mmwsss.utils import check_number

MAX_LEVEL = 10
FILL = (124, 116, 104)  # the mean colour of ImageNet, RGB
_Picture = PILImage.Image


def _signed(value: float) -> float:
    return value if np.random.uniform() < 0.5 else -value


def _affine(image: _Picture, matrix: tuple[float, ...]) -> _Picture:
    return image.transform(
        image.size,
        PILImage.Transform.AFFINE,
        matrix,
        resample=PILImage.Resampling.BICUBIC,
        fillcolor=FILL,
    )


def _enhance(kind: Callable[[_Picture], Any]) -> Callable[[_Picture, float], _Picture]:
    """Return an operation with a random factor, which is 0.1 or 1.9 at the highest level."""
    return lambda image, share: kind(image).enhance(1 + _signed(0.9 * share))


def _add_to_dark(image: _Picture, share: float) -> _Picture:
    """Brighten values below 128."""
    added = min(int(110 * share), 128)
    table = [min(255, level + added) if level < 128 else level for level in range(256)]
    return image.point(table * 3)


# each takes an RGB image and the level as a fraction of MAX_LEVEL; higher levels change more
OPERATIONS: dict[str, Callable[[_Picture, float], _Picture]] = dict(
    autocontrast=lambda image, _: ImageOps.autocontrast(image),
    equalize=lambda image, _: ImageOps.equalize(image),
    invert=lambda image, _: ImageOps.invert(image),
    rotate=lambda image, share: image.rotate(
        _signed(30 * share), resample=PILImage.Resampling.BICUBIC, fillcolor=FILL
    ),
    # at least 1 bit: 0 bits would give a black image
    posterize=lambda image, share: ImageOps.posterize(image, max(4 - int(4 * share), 1)),
    solarize=lambda image, share: ImageOps.solarize(image, 256 - int(256 * share)),
    solarize_add=_add_to_dark,
    color=_enhance(ImageEnhance.Color),
    contrast=_enhance(ImageEnhance.Contrast),
    brightness=_enhance(ImageEnhance.Brightness),
    sharpness=_enhance(ImageEnhance.Sharpness),
    shear_x=lambda image, share: _affine(image, (1, _signed(0.3 * share), 0, 0, 1, 0)),
    shear_y=lambda image, share: _affine(image, (1, 0, 0, _signed(0.3 * share), 1, 0)),
    translate_x=lambda image, share: _affine(
        image, (1, 0, _signed(0.45 * share) * image.width, 0, 1, 0)
    ),
    translate_y=lambda image, share: _affine(
        image, (1, 0, 0, 0, 1, _signed(0.45 * share) * image.height)
    ),
)


@TRANSFORMS.register_module()
class AugmentRandomly(BaseTransform):
    """RandAugment: apply a few random operations out of fifteen.

    The policy is timm's ``rand-m9-mstd0.5-inc1``: levels are normally distributed, and every
    operation changes the image more at higher levels. Masks and ``valid_box`` are not transformed,
    so use it only for image-level labels of whole images.

    Source: Cubuk et al., NeurIPS 2020, https://arxiv.org/abs/1909.13719, as in
    https://github.com/huggingface/pytorch-image-models

    Args:
        num_operations: Number of operations per image, drawn with replacement.
        level: Mean of the levels, 0 to 10.
        level_std: Their standard deviation.
        prob: Probability that a drawn operation is applied.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        num_operations: int = 2,
        level: float = 9.0,
        *,
        level_std: float = 0.5,
        prob: float = 0.5,
    ) -> None:
        check_number(f'{type(self).__name__}: num_operations', num_operations, 1)
        check_number(f'{type(self).__name__}: level', level, 0, MAX_LEVEL)
        check_number(f'{type(self).__name__}: level_std', level_std, 0)
        check_number(f'{type(self).__name__}: prob', prob, 0, 1)
        self.num_operations, self.level = num_operations, level
        self.level_std, self.prob = level_std, prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Augment ``img``, uint8 BGR."""
        image = PILImage.fromarray(np.ascontiguousarray(results['img'][..., ::-1]))
        for name in np.random.choice(list(OPERATIONS), self.num_operations):
            if np.random.uniform() < self.prob:
                level = np.clip(np.random.normal(self.level, self.level_std), 0, MAX_LEVEL)
                image = OPERATIONS[name](image, float(level) / MAX_LEVEL)
        results['img'] = np.array(image)[..., ::-1]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_operations={self.num_operations}, level={self.level}, '
            f'level_std={self.level_std}, prob={self.prob})'
        )


@TRANSFORMS.register_module()
class EraseRandomBox(BaseTransform):
    """Random erasing: fill a random box with independent noise per pixel.

    The noise is normally distributed around the mean colour and clipped to 0-255.

    Source: Zhong et al., AAAI 2020, https://arxiv.org/abs/1708.04896

    Args:
        prob: Probability that a box is erased.
        area: Smallest and largest fraction of the image's area.
        ratio: Smallest aspect ratio; the largest is ``1 / ratio``.
        mean: Mean of the noise, BGR.
        std: Standard deviation of the noise, BGR.

    Raises:
        ValueError: an argument is out of range.
    """

    tries = 10

    def __init__(
        self,
        prob: float = 0.25,
        *,
        area: Sequence[float] = (0.02, 1 / 3),
        ratio: float = 0.3,
        mean: Sequence[float] = (103.53, 116.28, 123.675),
        std: Sequence[float] = (57.375, 57.12, 58.395),
    ) -> None:
        if not (0 <= prob <= 1 and 0 < area[0] <= area[1] <= 1 and 0 < ratio <= 1):
            raise ValueError(
                f'{type(self).__name__}: prob must be 0 to 1, area two fractions in order and '
                f'ratio in (0, 1], got {prob}, {tuple(area)} and {ratio}.'
            )
        self.prob, self.area, self.ratio = prob, tuple(area), ratio
        self.mean, self.std = tuple(mean), tuple(std)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Erase the first of ten drawn boxes that fits into ``img``, uint8 BGR, if any does."""
        if np.random.uniform() >= self.prob:
            return results
        height, width = results['img'].shape[:2]
        limit = math.log(1 / self.ratio)
        areas = height * width * np.random.uniform(self.area[0], self.area[1], self.tries)
        ratios = np.exp(np.random.uniform(-limit, limit, self.tries))
        boxes = np.rint(np.sqrt([areas * ratios, areas / ratios])).astype(int)
        fits = (boxes < [[height], [width]]).all(axis=0)
        if fits.any():
            rows, columns = boxes[:, fits.argmax()]
            top = np.random.randint(height - rows + 1)
            left = np.random.randint(width - columns + 1)
            noise = np.random.normal(self.mean, self.std, (rows, columns, 3))
            image = results['img'].copy()
            image[top : top + rows, left : left + columns] = noise.round().clip(0, 255)
            results['img'] = image
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, area={self.area}, ratio={self.ratio}, '
            f'mean={self.mean}, std={self.std})'
        )
