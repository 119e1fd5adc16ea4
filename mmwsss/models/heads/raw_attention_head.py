"""Head that uses the attention of a transformer directly as the affinity of positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class RawAttentionHead(BaseModule):
    """Mean of all attention maps after the softmax, for an ablation of :class:`AffinityHead`.

    Has no parameters. Each row of the mean is divided by its maximum, so that affinities reach 1,
    and the matrix is averaged with its transpose.

    Source: Ru et al., CVPR 2022, Table 3, https://arxiv.org/abs/2203.02664, which compares with
    raw attention and does not specify its scale.

    Args:
        in_channels: Total number of attention maps: heads times blocks.
        head_channels: Channels of a head, d; raw attention is divided by the square root of d.

    Shapes:
        attentions: ``(N, heads, L, L)`` float for each block.
        returns: ``(N, L, L)`` logits, symmetric; the affinity is their sigmoid.

    Raises:
        ValueError: ``in_channels`` or ``head_channels`` is not positive, or ``in_channels`` is not
            the number of maps.
    """

    def __init__(self, in_channels: int, head_channels: int) -> None:
        super().__init__()
        if min(in_channels, head_channels) < 1:
            raise ValueError(
                'RawAttentionHead: in_channels and head_channels must be positive, got '
                f'{in_channels} and {head_channels}.'
            )
        self.in_channels = in_channels
        self.head_channels = head_channels

    def forward(self, attentions: Sequence[Tensor]) -> Tensor:
        """Return the affinity logits of all pairs of positions."""
        found = sum(x.shape[1] for x in attentions)
        if found != self.in_channels:
            raise ValueError(
                f'RawAttentionHead: in_channels={self.in_channels} does not match the number of '
                f'attention maps, {found}; omit in_channels.'
            )
        scale = self.head_channels**-0.5
        mean = sum((x.float() * scale).softmax(dim=3).sum(dim=1) for x in attentions) / found
        affinity = mean / mean.amax(dim=2, keepdim=True)
        return torch.logit((affinity + affinity.transpose(1, 2)) / 2, eps=1e-6)
