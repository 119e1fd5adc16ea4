"""Test-time augmentation that averages over the mirror image and takes the best of scales."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from .crf_tta_model import CRFTTAModel

_resize = partial(F.interpolate, mode='bilinear', align_corners=False)


@MODELS.register_module()
class ScaleMaxTTAModel(CRFTTAModel):
    """Average logits over image and mirror image, take the maximum over scales, apply the CRF once.

    The views are made here, of the normalised image, as in the published code: ``tta_pipeline``
    loads and packs the image as it is, without ``TestTimeAug``. A merged sample has
    ``seg_logits`` and ``pred_sem_seg``.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published code.

    Args:
        module: As in :class:`CRFTTAModel`.
        scales: Factors on the sides; logits are merged on the grid of the first.
        long_side: Length in pixels to which the longer side of the image is brought before; None
            leaves the image as it is.
        **kwargs: Arguments of MMEngine's ``BaseTTAModel``.

    Raises:
        ValueError: a scale or length is not positive; see :class:`CRFTTAModel`, too.
    """

    def __init__(
        self,
        module: dict | nn.Module,
        scales: Sequence[float] = (1.0, 0.5, 0.75),
        *,
        long_side: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, **kwargs)
        if not scales or min(scales) <= 0 or (long_side is not None and long_side < 1):
            raise ValueError(
                'ScaleMaxTTAModel: scales and long_side must be positive, got '
                f'{tuple(scales)} and {long_side}.'
            )
        self.scales = tuple(scales)
        self.long_side = long_side

    def merged_logits(self, inputs: Tensor) -> Tensor:
        """Return the merged logits on the decoder's grid of the first scale.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            returns: ``(N, num_classes, h, w)``.
        """
        if self.long_side is not None:
            factor = self.long_side / max(inputs.shape[2:])
            inputs = _resize(inputs, [max(int(side * factor), 1) for side in inputs.shape[2:]])
        merged = None
        for scale in self.scales:
            # by the factor itself, not by the ratio of the sizes, which are cut to integers
            x = inputs
            if scale != 1 and min(inputs.shape[2:]) * scale < 1:
                x = _resize(inputs, [max(int(side * scale), 1) for side in inputs.shape[2:]])
            elif scale != 1:
                x = _resize(inputs, scale_factor=scale)
            logits, mirrored = self.module.decode(torch.cat([x, x.flip(3)])).float().chunk(2)
            logits = (logits + mirrored.flip(3)) / 2
            if merged is None:
                merged = logits
            else:
                merged = torch.maximum(merged, _resize(logits, merged.shape[2:]))
        return merged

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
