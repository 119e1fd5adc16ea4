"""Predictions that a dense CRF refines once, at the size of the original image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.datasets.transforms import decode_image
from mmwsss.utils import read_content


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
            'test_cfg.crf: the dense CRF reads the original image again, and the sample has '
            'no img_path: predict from files, or switch the CRF off with test_cfg=dict(crf=None).'
        )
    image = decode_image(read_content(path), path)
    shape = tuple(sample.metainfo['ori_shape'][:2])
    if image.shape[:2] != shape:
        raise ValueError(
            f'test_cfg.crf: image {path} is {image.shape[1]} x {image.shape[0]} where '
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


class CRFPrediction:
    """What a segmentor needs for ``test_cfg.crf``; comes before MMSeg's segmentor as a base.

    The CRF sees the probabilities at ``ori_shape`` and the image of ``img_path``, read again: the
    input of the network may be scaled, mirrored and padded, and to undo that would blur the very
    edges that the CRF follows.
    """

    def _init_crf(self, cfg: dict | None) -> None:
        """Build the CRF, or none; part of the constructor."""
        self.crf = None if cfg is None else MODELS.build(cfg)
        self._crf_is_postponed = False

    @contextmanager
    def postpone_crf(self) -> Iterator[None]:
        """Predict without the CRF, which :meth:`set_prediction` then applies."""
        self._crf_is_postponed = True
        try:
            yield
        finally:
            self._crf_is_postponed = False

    def decode(self, inputs: Tensor) -> Tensor:
        """Return the decoder's logits on their own grid.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            returns: ``(N, num_classes, h, w)``.
        """
        return self.decode_head(self.extract_feat(inputs))

    @staticmethod
    def add_logits(sample: SegDataSample, logits: Tensor) -> None:
        """Write logits ``(num_classes, H, W)`` and their argmax into a sample."""
        sample.set_data(
            dict(
                seg_logits=PixelData(data=logits),
                pred_sem_seg=PixelData(data=logits.argmax(dim=0, keepdim=True)),
            )
        )

    def set_prediction(self, sample: SegDataSample, logits: Tensor) -> None:
        """Write logits, refined where there is a CRF, and their argmax into a sample.

        Args:
            sample: Sample with ``img_path`` and ``ori_shape``.
            logits: ``(num_classes, H, W)`` at ``ori_shape``.
        """
        if self.crf is not None:
            logits = refine_logits(self.crf, original_image(sample), logits)
        self.add_logits(sample, logits)
