"""Test-time augmentation for class activation maps."""

from __future__ import annotations

from typing import Any, NoReturn

from mmengine.model import BaseTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor


@MODELS.register_module()
class CAMTTAModel(BaseTTAModel):
    """Sum the class activation maps of several views, then normalise.

    Source: Wang et al., CVPR 2020, Sec. 4.1, https://arxiv.org/abs/2004.04581

    The views come from the pipeline (``tta_pipeline``): scales and rounding are those of the
    method. Everything in the merged sample (``cams``, ``pred_score``, ``seg_logits``,
    ``pred_sem_seg``) is that of all views; the rest is the first view's.

    Args:
        module: The segmentor or its config.
        data_preprocessor: Config that replaces the segmentor's own.
    """

    def test_step(self, data: Any) -> list[SegDataSample]:
        """Predict the views of a batch one after the other, and add up what counts of them.

        Args:
            data: Batch with a list of views an entry, as the data loader gives it.

        Raises:
            ValueError: the segmentor predicts something else than class activation maps, or its
                ``use_image_labels`` finds none.
        """
        module, views = self.module, zip(data['inputs'], data['data_samples'], strict=True)
        if module.test_cfg.output != 'cam':
            raise ValueError(
                'CAMTTAModel: adds up class activation maps, and the model has test_cfg.output='
                f"{module.test_cfg.output!r}: set it to 'cam', or merge masks with CRFTTAModel."
            )
        merged: list[tuple[Tensor, Tensor]] = []
        for inputs, samples in views:
            batch = module.data_preprocessor(dict(inputs=inputs, data_samples=samples), False)
            if not merged:
                first = batch['data_samples']
                classes = module.view_classes(first, batch['inputs'].device)
            found = module.predict_view(batch['inputs'], batch['data_samples'], classes)
            found = [(maps, scores.sigmoid()) for maps, scores in found]
            if not merged:
                # maps that were not resized may share the memory of the network's output
                merged = [(maps.clone(), scores) for maps, scores in found]
                continue
            for (maps, scores), (more, further) in zip(merged, found, strict=True):
                maps += more
                scores += further
        for sample, (maps, scores) in zip(first, merged, strict=True):
            sample.set_data(dict(pred_score=scores / len(data['inputs'])))
            module.add_cams(sample, maps, classes)
        return first

    def merge_preds(self, data_samples_list: Any) -> NoReturn:
        """Raise an error: the views are merged while they are predicted."""
        raise NotImplementedError('CAMTTAModel merges the views in test_step.')
