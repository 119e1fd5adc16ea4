"""Classifier that segments by Grad-CAM or Grad-CAM++."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmwsss.ops import grad_cam

from .weak_segmentor import WeakSegmentor


@MODELS.register_module()
class GradCAMSegmentor(WeakSegmentor):
    """The CAM baseline with maps made of the gradient of the scores.

    Training and checkpoints are those of :class:`WeakSegmentor`. The gradient goes back through
    the head alone.

    Source: Selvaraju et al., ICCV 2017, https://arxiv.org/abs/1610.02391, and Chattopadhay et al.,
    WACV 2018, https://arxiv.org/abs/1710.11063; compared in Wang et al., CVPR 2020, Table 2,
    https://arxiv.org/abs/2004.04581

    Args:
        plus: Grad-CAM++ in place of Grad-CAM.
        **kwargs: Arguments of :class:`WeakSegmentor`.
    """

    takes_pcm = False

    def __init__(self, *, plus: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plus = plus

    def predict_maps(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``test_cfg.output`` asks for, and image scores."""
        if self.test_cfg.output == 'seg':
            return super().predict_maps(inputs)
        feats = list(self.extract_feat(inputs))
        # prediction is without gradient, or in inference mode, which forbids it
        with torch.inference_mode(False), torch.enable_grad():
            x = feats[self.cam_head.in_index].detach().float().clone().requires_grad_()
            feats[self.cam_head.in_index] = x
            scores = self.cam_head(feats)[1]
            maps = grad_cam(scores, x, plus=self.plus)
        return maps, scores.detach()
