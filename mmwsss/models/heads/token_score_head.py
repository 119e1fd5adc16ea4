"""Head that takes the score of a class from the token of the class."""

from __future__ import annotations

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class TokenScoreHead(BaseModule):
    """Mean over the channels of each class token; nothing is learned.

    Source: Xu et al., CVPR 2022, Sec. 3.1, https://arxiv.org/abs/2203.02891

    Args:
        num_classes: Classes with background, which has no token.
        loss_cls: Config of the loss on ``(N, K)`` scores and labels.

    Raises:
        ValueError: ``num_classes`` is below 2.
    """

    def __init__(self, num_classes: int, *, loss_cls: dict | None = None) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(
                'TokenScoreHead: num_classes counts the background, so at least 2, got '
                f'{num_classes}.'
            )
        self.num_classes = num_classes
        self.loss_cls = MODELS.build(loss_cls or dict(type='MultiLabelSoftMarginLoss'))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the classes.

        Shapes:
            tokens: ``(N, K, C)`` float.
            returns: ``(N, K)``.
        """
        return tokens.mean(dim=2)
