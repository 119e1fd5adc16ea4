"""Head that gives a mask of every class, background too, from patch tokens."""

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
    """Linear classifier of patch tokens, behind dropout of whole tokens.

    Source: Chen et al., 2022, Eq. 5, https://arxiv.org/abs/2210.14618; its published code
    drops places, not channels.

    Args:
        in_channels: Channels of the feature map.
        num_classes: Classes with background, C.
        in_index: Which of the backbone's outputs to use.
        dropout: Probability of a place to be dropped in training.
        activation: What makes maps of the logits: 'relu', as published, 'sigmoid', as in the
            paper, or None: 1 everywhere, so that the attention is the map alone.
        init_cfg: Initialisation; a truncated normal distribution by default.

    Raises:
        ValueError: ``num_classes`` is below 2, or another ``activation``.
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
                'TokenMaskHead: num_classes counts the background, so at least 2, got '
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
            feats: backbone outputs; the chosen one ``(N, in_channels, h, w)``.
            returns: ``(N, C, h, w)``.
        """
        x = feats[self.in_index]
        tokens = self.dropout(x.flatten(2).transpose(1, 2))
        return self.classify(tokens).transpose(1, 2).unflatten(2, x.shape[2:])

    def activate(self, logits: Tensor) -> Tensor:
        """Return maps of any shape from the logits of masks, not negative."""
        if self.activation is None:
            return torch.ones_like(logits)
        return ACTIVATIONS[self.activation](logits)
