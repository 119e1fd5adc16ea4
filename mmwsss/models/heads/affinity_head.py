"""Head that predicts the affinity of positions from the attention of a transformer."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

Attention = Tensor | tuple[Tensor, Tensor]


def _map_shape(attention: Attention) -> tuple[int, ...]:
    """Return the shape of the attention maps of a block, given as maps or as queries and keys."""
    if isinstance(attention, Tensor):
        return tuple(attention.shape)
    queries, keys = attention
    return (*queries.shape[:3], keys.shape[2])


def _weighted_sum(attention: Attention, weights: Tensor) -> Tensor:
    """Return the weighted sum ``(N, L, L)`` over the heads of a block."""
    if isinstance(attention, Tensor):
        # on CPUs many times faster than a convolution with one output channel
        return (weights @ attention.flatten(2)).unflatten(1, attention.shape[2:])
    queries, keys = (x.transpose(1, 2) for x in attention)  # (N, L, heads, d)
    return (queries * weights[:, None]).flatten(2) @ keys.flatten(2).transpose(1, 2)


@MODELS.register_module()
class AffinityHead(BaseModule):
    """Predict the affinity of all pairs of positions from raw attention maps.

    Attention is directed and affinity is not, so every map is added to its transpose. A 1x1
    convolution then combines all maps. Works with any backbone that returns attention between
    positions.

    Also accepts the queries and keys of the attention. ``sum_m w_m Q_m K_m^T`` is then computed
    as one product of the concatenated weighted queries and keys of all heads, without storing
    any attention map.

    Source: Ru et al., CVPR 2022, Eq. 3, https://arxiv.org/abs/2203.02664

    Args:
        in_channels: Total number of attention maps: heads times blocks.
        init_cfg: Initialisation; Kaiming, as published, by default.

    Shapes:
        attentions: ``(N, heads, L, L)`` float for each block, or pairs of queries and keys, both
            ``(N, heads, L, d)``.
        returns: ``(N, L, L)`` logits, symmetric; the affinity is their sigmoid.

    Raises:
        ValueError: ``in_channels`` is not positive or not the number of maps, or maps are not
            square.
    """

    reads_factors = True  # accepts queries and keys instead of maps

    def __init__(self, in_channels: int, *, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(
            init_cfg
            or dict(
                type='Kaiming',
                layer='Conv2d',
                a=5**0.5,
                mode='fan_out',
                nonlinearity='leaky_relu',
                distribution='normal',
            )
        )
        if in_channels < 1:
            raise ValueError(f'AffinityHead: in_channels must be positive, got {in_channels}.')
        self.conv = nn.Conv2d(in_channels, 1, 1)

    def forward(self, attentions: Sequence[Attention]) -> Tensor:
        """Return the affinity logits of all pairs of positions."""
        heads = self._heads(attentions)
        weights = self.conv.weight.flatten().split(heads)
        # the convolution is linear: adding the transpose after it saves a copy of every map
        pairs = sum(_weighted_sum(x, w) for x, w in zip(attentions, weights, strict=True))
        return pairs + pairs.transpose(1, 2) + self.conv.bias

    def _heads(self, attentions: Sequence[Attention]) -> list[int]:
        """Return the number of heads of each block."""
        shapes = [_map_shape(x) for x in attentions]
        square = all(shape[2:] == (shapes[0][2],) * 2 for shape in shapes)
        if not square or sum(shape[1] for shape in shapes) != self.conv.in_channels:
            raise ValueError(
                f'AffinityHead: attention maps must be (N, heads, L, L) with the same L and '
                f'{self.conv.in_channels} heads in total, got {shapes}; choose blocks without '
                'spatial reduction (attention_blocks) and set in_channels.'
            )
        return [shape[1] for shape in shapes]
