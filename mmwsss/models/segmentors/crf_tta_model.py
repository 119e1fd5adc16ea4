"""Test-time augmentation of segmentation models, with one dense CRF at the end."""

from __future__ import annotations

from typing import Any

from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from .crf_prediction import CRFPrediction


@MODELS.register_module()
class CRFTTAModel(SegTTAModel):
    """Average the logits of several views, then apply the segmentor's CRF once.

    MMSeg's ``SegTTAModel`` averages probabilities instead. The merged sample has ``seg_logits``,
    too; what else it has is the first view's.

    Args:
        module: A :class:`CRFEncoderDecoder` or a :class:`WeakSegmentor` whose ``test_cfg.output``
            asks for masks, or its config; without ``crf`` the mean is the result.
        **kwargs: Arguments of MMEngine's ``BaseTTAModel``.

    Raises:
        TypeError: ``module`` is another segmentor.
        ValueError: it predicts class activation maps.
    """

    def __init__(self, module: dict | nn.Module, **kwargs: Any) -> None:
        super().__init__(module, **kwargs)
        name, kind = type(self).__name__, type(self.module).__name__
        if not isinstance(self.module, CRFPrediction):
            raise TypeError(
                f'{name}: module must be a CRFEncoderDecoder or a WeakSegmentor, got a '
                f'{kind}: use SegTTAModel for it.'
            )
        if not getattr(self.module, 'predicts_masks', True):
            raise ValueError(
                f'{name}: merges the logits of masks, and the {kind} has test_cfg.output='
                f'{self.module.test_cfg.output!r}: use CAMTTAModel, or for AFA, which has scales '
                'of its own, no test-time augmentation.'
            )

    def test_step(self, data: Any) -> list[SegDataSample]:
        """Predict the views without CRF and merge them.

        Args:
            data: Batch with a list of views an entry, as the data loader gives it.
        """
        with self.module.postpone_crf():
            return super().test_step(data)

    def merge_preds(
        self, data_samples_list: list[tuple[SegDataSample, ...]]
    ) -> list[SegDataSample]:
        """Merge the views of each image.

        Args:
            data_samples_list: One tuple of predictions an image, one prediction a view.
        """
        for views in data_samples_list:
            # one view is added at a time: stacking 12 of 81 classes would not fit
            logits = sum(view.seg_logits.data for view in views) / len(views)
            self.module.set_prediction(views[0], logits)
        return [views[0] for views in data_samples_list]
