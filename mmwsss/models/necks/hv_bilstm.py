"""Recurrent neck that gives every patch the context of its row and its column."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class HVBiLSTM(BaseModule):
    """Two bidirectional LSTMs, one along the rows of the patch grid and one along its columns.

    Source: Rossetti et al. (ViT-PCM), ECCV 2022, https://arxiv.org/abs/2210.17400, and Wu et
    al. (APC), 2024, https://arxiv.org/abs/2407.10649

    Args:
        hidden_channels: Channels of each of the four directions, a quarter of the output channels.
        in_index: Index of the feature map to use.
        dropout: Dropout probability of an activation before the LSTMs.
        sequence_dropout: Dropout probability of a channel along a whole row or column before its
            LSTM; the published code of ViT-PCM uses 0.2.

    Raises:
        ValueError: ``in_channels`` or ``hidden_channels`` is not positive.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 192,
        *,
        in_index: int = -1,
        dropout: float = 0.2,
        sequence_dropout: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if min(in_channels, hidden_channels) < 1:
            raise ValueError(
                'HVBiLSTM: in_channels and hidden_channels must be positive, got '
                f'{in_channels} and {hidden_channels}.'
            )
        self.in_index = in_index
        self.dropout = nn.Dropout(dropout)
        self.sequence_dropout = sequence_dropout
        common = dict(batch_first=True, bidirectional=True)
        self.horizontal = nn.LSTM(in_channels, hidden_channels, **common)
        self.vertical = nn.LSTM(in_channels, hidden_channels, **common)

    def _without_channels(self, sequences: Tensor) -> Tensor:
        """Apply dropout to channels of whole sequences ``(M, L, C)``."""
        if not (self.training and self.sequence_dropout):
            return sequences
        return F.dropout1d(sequences.transpose(1, 2), self.sequence_dropout).transpose(1, 2)

    def context(self, x: Tensor) -> Tensor:
        """Run the LSTMs along the rows and the columns of a feature map.

        Shapes:
            x: ``(N, in_channels, h, w)``.
            returns: ``(N, 4 * hidden_channels, h, w)``: rightward, leftward, down, up.
        """
        x = self.dropout(x).permute(0, 2, 3, 1)  # (N, h, w, C)
        num, height, width, _ = x.shape
        on_cpu = x.device.type == 'cpu'
        # most CPUs do not support LSTMs in half precision
        with torch.autocast('cpu', enabled=False) if on_cpu else nullcontext():
            x = x.float() if on_cpu else x
            along = self._without_channels(x.flatten(0, 1))
            down = self._without_channels(x.transpose(1, 2).flatten(0, 1))
            rows = self.horizontal(along)[0].unflatten(0, (num, height))
            columns = self.vertical(down)[0].unflatten(0, (num, width))
        return torch.cat([rows, columns.transpose(1, 2)], dim=3).permute(0, 3, 1, 2)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the unchanged features, for a decoder, followed by their :meth:`context`.

        Shapes:
            feats: backbone outputs; ``(N, in_channels, h, w)`` at ``in_index``.
            returns: the same and ``(N, 4 * hidden_channels, h, w)``.
        """
        return *feats, self.context(feats[self.in_index])
