"""Batch norm that keeps its statistics, for backbones without an option for that."""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import nn


@MODELS.register_module()
class EvalBatchNorm(nn.BatchNorm2d):
    """Batch norm on its running statistics, when training too; weight and bias learn.

    Batches of a few crops give poor statistics. MMSegmentation's backbones have ``norm_eval`` for
    that. Its ``TIMMBackbone`` has not, but hands ``norm_layer='EvalBatchNorm'`` on to timm.

    Example:
        >>> EvalBatchNorm(8).train().training
        False
    """

    def train(self, mode: bool = True) -> EvalBatchNorm:
        """Stay in evaluation.

        Args:
            mode: Not used.
        """
        return super().train(False)
