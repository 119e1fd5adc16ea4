"""Head that maps each class token to an embedding of its class."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class ClassTokenHead(BaseModule):
    """One linear layer per class token, followed by a ReLU.

    Source: Chen et al., 2022, https://arxiv.org/abs/2210.14618

    Args:
        num_classes: Number of class tokens including background, C.
        embed_channels: Channels of an embedding, D.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        embed_channels: int = 256,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.weight = nn.Parameter(
            nn.init.trunc_normal_(torch.empty(num_classes, in_channels, embed_channels), std=0.02)
        )
        self.bias = nn.Parameter(torch.zeros(num_classes, embed_channels))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the embeddings.

        Shapes:
            tokens: ``(N, C, in_channels)`` float.
            returns: ``(N, C, D)``, not negative.
        """
        embed = torch.matmul(tokens.transpose(0, 1), self.weight).transpose(0, 1)
        return (embed + self.bias).relu()
