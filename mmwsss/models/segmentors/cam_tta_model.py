"""Test-time augmentation for class activation maps."""

from __future__ import annotations

import torch
from mmengine.model import BaseTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample


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

    def merge_preds(
        self, data_samples_list: list[tuple[SegDataSample, ...]]
    ) -> list[SegDataSample]:
        """Merge the views of each image.

        Args:
            data_samples_list: One tuple of predictions an image, one prediction a view.
        """
        merged = []
        for views in data_samples_list:
            sample = views[0]
            # one map is added at a time: stacking 8 views of 80 classes would not fit
            cams = views[0].cams.data.clone()
            for view in views[1:]:
                cams += view.cams.data
            scores = torch.stack([view.pred_score for view in views]).mean(dim=0)
            sample.set_data(dict(pred_score=scores))
            self.module.add_cams(sample, cams)
            merged.append(sample)
        return merged
