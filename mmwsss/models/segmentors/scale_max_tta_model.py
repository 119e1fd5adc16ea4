"""Test-time augmentation with scales and mirror images of the normalised image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from .crf_tta_model import CRFTTAModel

_resize = partial(F.interpolate, mode='bilinear', align_corners=False)


MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = dict(
    mean=lambda a, b: (a + b) / 2, sum=torch.add, max=torch.maximum
)


@MODELS.register_module()
class ScaleMaxTTAModel(CRFTTAModel):
    """Merge logits of image and mirror image, then those of scales, apply the CRF once.

    By default the mean over image and mirror image and the maximum over scales, as AFA has it.

    The views are made here, of the normalised image, as in the published code: ``tta_pipeline``
    loads and packs the image as it is, without ``TestTimeAug``. A merged sample has
    ``seg_logits`` and ``pred_sem_seg``.

    Sources: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and CVPR 2023,
    https://arxiv.org/abs/2303.01267, and their published code.

    Args:
        module: As in :class:`CRFTTAModel`.
        scales: Factors on the sides.
        long_side: Length in pixels to which the longer side of the image is brought before; None
            leaves the image as it is.
        size: Height and width to which the image is brought before, whatever its aspect ratio.
        mirror: How image and mirror image are merged: 'mean', 'sum' or 'max'; None leaves the
            mirror image out.
        over_scales: How scales are merged: 'max' or 'sum'.
        at_image_size: Whether logits are resized to the image before they are merged; otherwise
            they are merged on the grid of the first scale. Views then have the sides times the
            scale, cut to whole pixels.
        softmax: Whether logarithms of probabilities are merged over scales, not logits; with
            ``over_scales='max'`` the result is that of the largest probabilities.
        align_corners: Whether corners are aligned where the image is scaled.
        **kwargs: Arguments of MMEngine's ``BaseTTAModel``.

    Raises:
        ValueError: a scale, length or size is not positive, there is no such merge, or both
            ``long_side`` and ``size`` are given; see :class:`CRFTTAModel`, too.
    """

    def __init__(
        self,
        module: dict | nn.Module,
        scales: Sequence[float] = (1.0, 0.5, 0.75),
        *,
        long_side: int | None = None,
        size: tuple[int, int] | None = None,
        mirror: str | None = 'mean',
        over_scales: str = 'max',
        at_image_size: bool = False,
        softmax: bool = False,
        align_corners: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, **kwargs)
        if not scales or min(scales) <= 0 or (long_side is not None and long_side < 1):
            raise ValueError(
                'ScaleMaxTTAModel: scales and long_side must be positive, got '
                f'{tuple(scales)} and {long_side}.'
            )
        if size is not None and (long_side is not None or len(size) != 2 or min(size) < 1):
            raise ValueError(
                'ScaleMaxTTAModel: size must be a positive height and width, without long_side, '
                f'got {size} and {long_side}.'
            )
        if mirror not in (*MERGES, None) or over_scales not in ('max', 'sum'):
            raise ValueError(
                "ScaleMaxTTAModel: mirror must be 'mean', 'sum', 'max' or None and over_scales "
                f"'max' or 'sum', got {mirror!r} and {over_scales!r}."
            )
        self.scales = tuple(scales)
        self.long_side, self.size = long_side, size
        self.mirror, self.over_scales = MERGES.get(mirror), MERGES[over_scales]
        self.at_image_size = at_image_size
        self.softmax, self.align_corners = softmax, align_corners

    def merged_logits(self, inputs: Tensor) -> Tensor:
        """Return the merged logits.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            returns: ``(N, num_classes, H, W)`` if ``at_image_size``, else on the decoder's grid of
                the first scale.
        """
        size = inputs.shape[2:] if self.at_image_size else None
        if self.long_side is not None:
            factor = self.long_side / max(inputs.shape[2:])
            inputs = _resize(inputs, [max(int(side * factor), 1) for side in inputs.shape[2:]])
        elif self.size is not None:
            inputs = _resize(inputs, self.size)
        merged = None
        for scale in self.scales:
            logits = self._scale_logits(self._scaled(inputs, scale), size)
            if self.softmax:
                logits = logits.log_softmax(dim=1)
            if merged is None:
                merged = logits
            else:
                merged = self.over_scales(merged, _resize(logits, merged.shape[2:]))
        return merged

    def _scale_logits(self, x: Tensor, size: torch.Size | None) -> Tensor:
        """Return the logits of the images of a scale, of both sides, resized if asked for."""
        if self.mirror is None:
            logits = self.module.decode(x).float()
            return logits if size is None else _resize(logits, size)
        logits, mirrored = self.module.decode(torch.cat([x, x.flip(3)])).float().chunk(2)
        if size is not None:
            logits, mirrored = _resize(logits, size), _resize(mirrored, size)
        return self.mirror(logits, mirrored.flip(3))

    def _scaled(self, inputs: Tensor, scale: float) -> Tensor:
        """Return the images at a scale."""
        if scale == 1:
            return inputs
        if self.at_image_size or min(inputs.shape[2:]) * scale < 1:
            sides = [max(int(side * scale), 1) for side in inputs.shape[2:]]
            return _resize(inputs, sides, align_corners=self.align_corners)
        # by the factor itself, not by the ratio of the sizes, which are cut to integers
        return _resize(inputs, scale_factor=scale, align_corners=self.align_corners)

    def test_step(self, data: Any) -> list[SegDataSample]:
        """Predict a batch of images of one size.

        Args:
            data: Batch without views, as the data loader gives it.

        Raises:
            ValueError: the batch holds views.
        """
        if isinstance(data['inputs'][0], (list, tuple)):
            raise ValueError(
                'ScaleMaxTTAModel: makes the views itself, got several of each image: leave '
                'TestTimeAug out of tta_pipeline.'
            )
        data = self.module.data_preprocessor(data, False)
        inputs, samples = data['inputs'], data['data_samples']
        left, right, top, bottom = samples[0].metainfo.get('img_padding_size', (0, 0, 0, 0))
        height, width = inputs.shape[2:]
        logits = self.merged_logits(inputs[..., top : height - bottom, left : width - right])
        for sample, one in zip(samples, logits, strict=True):
            size = sample.metainfo['ori_shape'][:2]
            self.module.set_prediction(sample, _resize(one[None], size)[0])
        return samples
