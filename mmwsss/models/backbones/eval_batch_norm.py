"""Batch norm that always uses its running statistics, for backbones without ``norm_eval``."""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import nn


@MODELS.register_module()
class EvalBatchNorm(nn.BatchNorm2d):
    """Batch norm that uses its running statistics in training as well; weight and bias learn.

    Small batches of crops give poor statistics, so MMSegmentation's backbones have ``norm_eval``.
    ``TIMMBackbone`` does not, but passes ``norm_layer='EvalBatchNorm'`` on to timm.

    Example:
        >>> EvalBatchNorm(8).train().training
        False
    """

    def train(self, mode: bool = True) -> EvalBatchNorm:
        """Stay in eval mode, whatever the ``mode``."""
        return super().train(False)
