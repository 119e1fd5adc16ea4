"""MMSeg's segmentor with a dense CRF behind it."""

from __future__ import annotations

from typing import Any

from mmengine.config import ConfigDict
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from .crf_prediction import CRFPrediction


@MODELS.register_module()
class CRFEncoderDecoder(CRFPrediction, EncoderDecoder):
    """Ordinary segmentation model whose predictions may be refined by a dense CRF.

    ``test_cfg=dict(mode='whole', crf=dict(type='DenseCRF', num_iters=1))`` switches it on. The CRF
    sees the probabilities at ``ori_shape`` and the image of ``img_path``, read again: the input of
    the network may be scaled, mirrored and padded, and to undo that would blur the very edges that
    the CRF follows. With :class:`CRFTTAModel` it runs once, on the merged views.

    ``seg_logits`` are logarithms of the CRF's probabilities then. Training, ``mode='tensor'`` and
    checkpoints are those of MMSeg's ``EncoderDecoder``.

    Args:
        backbone: Config of the backbone.
        decode_head: Config of the decode head.
        test_cfg: As in MMSeg, and ``crf``: config of the CRF, or None.
        **kwargs: Arguments of ``EncoderDecoder``.

    Raises:
        ValueError: a CRF on a head with one channel; an image that cannot be had again.
    """

    def __init__(
        self, backbone: dict, decode_head: dict, *, test_cfg: dict | None = None, **kwargs: Any
    ) -> None:
        test_cfg = ConfigDict({'mode': 'whole', **(test_cfg or {})})
        super().__init__(backbone, decode_head, test_cfg=test_cfg, **kwargs)
        crf = test_cfg.get('crf')
        if crf is not None and self.out_channels < 2:
            raise ValueError(
                'CRFEncoderDecoder: test_cfg.crf needs a channel for each class, the decode head '
                f'has out_channels={self.out_channels}: leave out_channels out.'
            )
        self._init_crf(crf)

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Return the samples with ``seg_logits`` and ``pred_sem_seg`` at ``ori_shape``.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        predicted = super().predict(inputs, data_samples)
        if self.crf is not None and not self._crf_is_postponed:
            for sample in predicted:
                self.set_prediction(sample, sample.seg_logits.data)
        return predicted
