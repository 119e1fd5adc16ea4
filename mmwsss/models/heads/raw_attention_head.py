"""Head that takes the attention of a transformer itself for the affinity of positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class RawAttentionHead(BaseModule):
    """The mean of all attention maps, after the softmax: what :class:`AffinityHead` starts from.

    It has no weights, and takes the place of that head to see what learning the affinity is worth.
    Each row of the mean is divided by its largest value, so that affinities reach 1, and the
    matrix is averaged with its transpose.

    Source: Ru et al., CVPR 2022, Table 3, https://arxiv.org/abs/2203.02664, which compares with
    raw attention and does not say how it is scaled.

    Args:
        in_channels: Attention maps in all: heads times blocks.
        head_channels: Channels of a head, d; raw attention is divided by the root of d.

    Shapes:
        attentions: ``(N, heads, L, L)`` float each, of one block after the other.
        returns: ``(N, L, L)`` logits, symmetric; the affinity is their sigmoid.

    Raises:
        ValueError: ``in_channels`` or ``head_channels`` is not positive, or maps of another number.
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
                f'RawAttentionHead: {found} attention maps where in_channels={self.in_channels} '
                'are expected: leave in_channels out.'
            )
        scale = self.head_channels**-0.5
        mean = sum((x.float() * scale).softmax(dim=3).sum(dim=1) for x in attentions) / found
        affinity = mean / mean.amax(dim=2, keepdim=True)
        return torch.logit((affinity + affinity.transpose(1, 2)) / 2, eps=1e-6)
