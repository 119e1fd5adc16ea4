"""Head that reads the affinity of positions off the attention of a transformer."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class AffinityHead(BaseModule):
    """Predict how alike two positions are, for all pairs, from raw attention maps.

    Every map is added to its transpose, for attention has a direction and affinity has none,
    and a 1x1 convolution makes one of all. Usable behind any backbone that returns attention
    among positions.

    Source: Ru et al., CVPR 2022, Eq. 4, https://arxiv.org/abs/2203.02664

    Args:
        in_channels: Attention maps in all: heads times blocks.
        init_cfg: Initialisation; Kaiming's as published by default.

    Shapes:
        attentions: ``(N, heads, L, L)`` float each, of one block after the other.
        returns: ``(N, L, L)`` logits, symmetric; the affinity is their sigmoid.

    Raises:
        ValueError: ``in_channels`` is not positive; maps of another number, or not square.
    """

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

    def forward(self, attentions: Sequence[Tensor]) -> Tensor:
        """Return the affinity logits of all pairs of positions."""
        self._check(attentions)
        weights = self.conv.weight.flatten().split([x.shape[1] for x in attentions])
        # The convolution is linear: to add the transpose behind it spares a copy of every map.
        # As a product it is many times faster on CPUs, which convolve to one channel slowly.
        pairs = sum(w @ x.flatten(2) for w, x in zip(weights, attentions, strict=True))
        pairs = pairs.unflatten(1, attentions[0].shape[2:])
        return pairs + pairs.transpose(1, 2) + self.conv.bias

    def _check(self, attentions: Sequence[Tensor]) -> None:
        shapes = [tuple(x.shape) for x in attentions]
        square = all(shape[2:] == (shapes[0][2],) * 2 for shape in shapes)
        if not square or sum(shape[1] for shape in shapes) != self.conv.in_channels:
            raise ValueError(
                f'AffinityHead: attention maps of the shapes {shapes} where (N, heads, L, L) with '
                f'one L and {self.conv.in_channels} heads in all are expected: choose blocks '
                'without spatial reduction (attention_blocks) and set in_channels.'
            )
