"""Second view of an image with different colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.transforms import BaseTransform, Compose
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class AddSecondView(BaseTransform):
    """Apply colour transforms to a copy of the image and keep it as ``second_img``.

    Place it after all spatial transforms and before the colour transforms of the image itself, so
    that the pixels of both views correspond. ``PackWeakInputs`` packs it as ``second_view``, which
    :class:`ViTPCM` compares with the image.

    Source: Rossetti et al. (ViT-PCM), ECCV 2022, Sec. 5, https://arxiv.org/abs/2210.17400

    Args:
        transforms: Configs of the transforms, such as ``[dict(type='JitterColor', hue=0.1)]``.

    Raises:
        ValueError: at run time, a transform changes the size.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Any]]) -> None:
        self.transforms = Compose([dict(step) for step in transforms])

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``second_img``; requires ``img``."""
        image = results['img']
        second = self.transforms({**results, 'img': image.copy()})['img']
        if second.shape != image.shape:
            raise ValueError(
                f'{type(self).__name__}: the transforms change the size from {image.shape[1]} x '
                f'{image.shape[0]} to {second.shape[1]} x {second.shape[0]}: keep only colour '
                'transforms here, and move the others before it.'
            )
        results['second_img'] = second
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms})'
