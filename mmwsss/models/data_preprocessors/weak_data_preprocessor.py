"""Data preprocessor with padding after normalisation."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

from mmwsss.models.utils import valid_boxes
from mmwsss.ops import valid_mask


@MODELS.register_module()
class WeakDataPreProcessor(SegDataPreProcessor):
    """MMSeg's preprocessor with options for padding and memory format.

    Args:
        pad_after_norm: Set pixels outside the ``valid_box`` to 0 after normalisation, so padding
            has the mean colour (SEAM, SemFormer). By default padding keeps the value set by the
            crop (AFA, AffinityNet: black).
        channels_last: Return the batch in channels-last memory format.
        **kwargs: Arguments of MMSeg's ``SegDataPreProcessor``.
    """

    def __init__(
        self, pad_after_norm: bool = False, *, channels_last: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.pad_after_norm = pad_after_norm
        self.channels_last = channels_last

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Normalise and stack a batch.

        Args:
            data: ``inputs`` (uint8 BGR images ``(3, H, W)``) and ``data_samples``.

        Returns:
            ``inputs``, ``(N, 3, H, W)`` float, and ``data_samples``.
        """
        data = super().forward(data, training)
        inputs = data['inputs']
        if self.pad_after_norm and data['data_samples'] is not None:
            boxes = valid_boxes(data['data_samples'], inputs.shape[2:])
            if any(box != (0, 0, *inputs.shape[2:]) for box in boxes):
                boxes = torch.tensor(boxes, device=inputs.device)
                inputs = inputs * valid_mask(boxes, inputs.shape[2:])
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        data['inputs'] = inputs
        return data
