"""Additional views of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.transforms import BaseTransform, Compose
from mmseg.registry import TRANSFORMS

from .formatting import VIEWS


@TRANSFORMS.register_module()
class AddView(BaseTransform):
    """Apply transforms to a copy of the image and keep it as an additional view.

    The view shares the transforms that precede this one in the pipeline. ``PackWeakInputs`` packs
    it under its name.

    Source: Ru et al. (ToCo), CVPR 2023, https://arxiv.org/abs/2303.01267

    Args:
        transforms: Configs of the transforms, such as ``[dict(type='JitterColor', hue=0.1)]``.
        name: ``second_view`` or ``local_view``.

    Raises:
        ValueError: ``name`` is unknown.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Any]], name: str = 'second_view') -> None:
        if name not in VIEWS:
            raise ValueError(f'{type(self).__name__}: name must be one of {VIEWS}, got {name!r}.')
        self.transforms = Compose([dict(step) for step in transforms])
        self.name = name

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the view, ``(H, W, 3)`` uint8, under its name; requires ``img``."""
        view = self.transforms({**results, 'img': results['img'].copy()})['img']
        results[self.name] = view
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms}, name={self.name!r})'


@TRANSFORMS.register_module()
class AddSecondView(AddView):
    """Apply colour transforms to a copy of the image and keep it as ``second_view``.

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
        super().__init__(transforms)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``second_view``; requires ``img``."""
        image, results = results['img'], super().transform(results)
        second = results[self.name]
        if second.shape != image.shape:
            raise ValueError(
                f'{type(self).__name__}: the transforms change the size from {image.shape[1]} x '
                f'{image.shape[0]} to {second.shape[1]} x {second.shape[0]}: keep only colour '
                'transforms here, and move the others before it.'
            )
        return results
