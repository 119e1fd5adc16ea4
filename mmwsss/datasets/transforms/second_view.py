"""Second view of an image, in colours of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.transforms import BaseTransform, Compose
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class AddSecondView(BaseTransform):
    """Put the image through transforms of colours, and keep the result beside the image.

    It comes after all that moves pixels and before the colours of the image itself, so that both
    views show the same, pixel by pixel. ``PackWeakInputs`` packs it as ``second_view``, which
    :class:`ViTPCM` compares with the image.

    Source: Rossetti et al. (ViT-PCM), ECCV 2022, Sec. 5, https://arxiv.org/abs/2210.17400

    Args:
        transforms: Configs of the transforms, such as ``[dict(type='JitterColor', hue=0.1)]``.

    Raises:
        ValueError: in the pipeline, a transform changes the size.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Any]]) -> None:
        self.transforms = Compose([dict(step) for step in transforms])

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``second_img``.

        Args:
            results: Data info with ``img``.
        """
        image = results['img']
        second = self.transforms({**results, 'img': image.copy()})['img']
        if second.shape != image.shape:
            raise ValueError(
                f'{type(self).__name__}: the transforms turn {image.shape[1]} x {image.shape[0]} '
                f'pixels into {second.shape[1]} x {second.shape[0]}: leave transforms of colours '
                'alone here, and move the others before it.'
            )
        results['second_img'] = second
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms})'
