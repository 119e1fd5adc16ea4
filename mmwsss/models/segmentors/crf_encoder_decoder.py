"""MMSeg's segmentor with a dense CRF behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine import fileio
from mmengine.config import ConfigDict
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.datasets.transforms import decode_image

from .weak_segmentor import WeakSegmentor


def original_image(sample: SegDataSample) -> Tensor:
    """Read the image of a sample again, as it was before the pipeline.

    Args:
        sample: Sample with ``img_path`` and ``ori_shape``.

    Shapes:
        returns: ``(3, H, W)`` uint8 RGB, at ``ori_shape``.

    Raises:
        ValueError: the sample does not come from a file, or the file has another size.
    """
    path = sample.metainfo.get('img_path')
    if path is None:
        raise ValueError(
            'CRFEncoderDecoder: the dense CRF reads the original image again, and the sample has '
            'no img_path: predict from files, or switch the CRF off with test_cfg=dict(crf=None).'
        )
    image = decode_image(fileio.get(path), path)
    shape = tuple(sample.metainfo['ori_shape'][:2])
    if image.shape[:2] != shape:
        raise ValueError(
            f'CRFEncoderDecoder: image {path} is {image.shape[1]} x {image.shape[0]} where '
            f'{shape[1]} x {shape[0]} was loaded: load it with LoadImageChecked, or switch the CRF '
            'off with test_cfg=dict(crf=None).'
        )
    return torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())


def refine_logits(crf: nn.Module, image: Tensor, logits: Tensor) -> Tensor:
    """Refine the logits of an image by dense CRF.

    Args:
        crf: The ``DenseCRF``.

    Shapes:
        image: ``(3, H, W)`` uint8 RGB.
        logits: ``(C, H, W)`` float.
        returns: ``(C, H, W)`` float32 logits, whose softmax is the result of the CRF.
    """
    probs = crf(image[None].to(logits.device), logits[None].float().softmax(dim=1))[0]
    return probs.clamp(min=torch.finfo(probs.dtype).tiny).log()


@MODELS.register_module()
class CRFEncoderDecoder(EncoderDecoder):
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
        self.crf = None if crf is None else MODELS.build(crf)
        self._crf_is_postponed = False

    @contextmanager
    def postpone_crf(self) -> Iterator[None]:
        """Predict without the CRF, which :meth:`set_prediction` then applies."""
        self._crf_is_postponed = True
        try:
            yield
        finally:
            self._crf_is_postponed = False

    def set_prediction(self, sample: SegDataSample, logits: Tensor) -> None:
        """Write logits, refined where there is a CRF, and their argmax into a sample.

        Args:
            sample: Sample with ``img_path`` and ``ori_shape``.
            logits: ``(num_classes, H, W)`` at ``ori_shape``.
        """
        if self.crf is not None:
            logits = refine_logits(self.crf, original_image(sample), logits)
        WeakSegmentor.add_logits(sample, logits)

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
