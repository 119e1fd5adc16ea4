"""Head that predicts a mask for every class including background from patch tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

ACTIVATIONS = dict(relu=F.relu, sigmoid=torch.sigmoid)


@MODELS.register_module()
class TokenMaskHead(BaseModule):
    """Linear classifier of patch tokens with dropout of whole tokens.

    Source: Chen et al., 2022, Eq. 5, https://arxiv.org/abs/2210.14618; its published code
    drops positions, not channels.

    Args:
        num_classes: Number of classes including background, C.
        in_index: Index of the feature map to use.
        dropout: Dropout probability of a position.
        activation: Function from logits to maps: 'relu', as in the published code, 'sigmoid', as
            in the paper, or None for 1 everywhere, so that only the attention forms the map.
        init_cfg: Initialisation; truncated normal by default.

    Raises:
        ValueError: ``num_classes`` is below 2, or ``activation`` is unknown.
    """

    with_background = True

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        in_index: int = -1,
        dropout: float = 0.5,
        activation: str | None = 'relu',
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='TruncNormal', layer='Linear', std=0.02))
        if num_classes < 2:
            raise ValueError(
                'TokenMaskHead: num_classes includes the background, so at least 2, got '
                f'{num_classes}.'
            )
        if activation not in (*ACTIVATIONS, None):
            raise ValueError(
                f'TokenMaskHead: activation must be one of {(*ACTIVATIONS, None)}, got '
                f'{activation!r}.'
            )
        self.activation = activation
        self.num_classes = num_classes
        self.in_index = in_index
        self.dropout = nn.Dropout1d(dropout)
        self.classify = nn.Linear(in_channels, num_classes)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Return the logits of the masks.

        Shapes:
            feats: backbone outputs; ``(N, in_channels, h, w)`` at ``in_index``.
            returns: ``(N, C, h, w)``.
        """
        x = feats[self.in_index]
        tokens = self.dropout(x.flatten(2).transpose(1, 2))
        return self.classify(tokens).transpose(1, 2).unflatten(2, x.shape[2:])

    def activate(self, logits: Tensor) -> Tensor:
        """Convert logits of masks to maps of the same shape, not negative."""
        if self.activation is None:
            return torch.ones_like(logits)
        return ACTIVATIONS[self.activation](logits)
