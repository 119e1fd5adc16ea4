"""Transformer block of ViT that can return its attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmcv.cnn.bricks.transformer import FFN
from torch import Tensor, nn

SHOWN = ('raw', 'class', 'mean')


class TokenAttention(nn.Module):
    """Multi-head self-attention of class tokens and patch tokens.

    Unless the attention of all tokens is requested, PyTorch's fused kernel computes the output
    without storing the full attention matrix. Otherwise, the output is computed from that matrix.

    Args:
        embed_dims: Channels of a token, a multiple of ``num_heads``.
    """

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(
        self, x: Tensor, show: str | None = None, *, num_class_tokens: int = 0
    ) -> tuple[Tensor, Tensor | None]:
        """Return the attended tokens and, on request, the attention.

        Args:
            show: ``raw`` returns the attention between patches before scaling and softmax,
                ``class`` that from class tokens to patches after the softmax over all tokens,
                ``mean`` that from all tokens to patches, averaged over heads.
            num_class_tokens: Number T of class tokens in front of the patch tokens.

        Shapes:
            x: ``(N, T + L, C)`` float, normalised.
            returns: ``(N, T + L, C)``, and ``(N, heads, L, L)``, ``(N, heads, T, L)``,
                ``(N, T + L, L)`` or None.
        """
        projected = self.qkv(x).unflatten(2, (3, self.num_heads, -1))
        queries, keys, values = projected.permute(2, 0, 3, 1, 4).unbind()
        scale, attention = queries.shape[3] ** -0.5, None
        if show == 'raw':
            raw = queries @ keys.transpose(2, 3)
            out = (raw * scale).softmax(dim=3) @ values
            attention = raw[..., num_class_tokens:, num_class_tokens:]
        elif show == 'mean':
            weights = (queries * scale @ keys.transpose(2, 3)).softmax(dim=3)
            out = weights @ values
            attention = weights[..., num_class_tokens:].mean(dim=1)
        else:
            out = F.scaled_dot_product_attention(queries, keys, values)
        if show == 'class':
            rows = queries[:, :, :num_class_tokens] @ keys.transpose(2, 3)
            attention = (rows * scale).softmax(dim=3)[..., num_class_tokens:]
        return self.proj(out.transpose(1, 2).flatten(2)), attention


class LayerScale(nn.Module):
    """Learned factor per channel of a residual branch, initialised to ``value``.

    Source: Touvron et al., ICCV 2021, https://arxiv.org/abs/2103.17239
    """

    def __init__(self, channels: int, value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled tokens ``(N, T + L, C)``."""
        return x * self.gamma


class TokenBlock(nn.Module):
    """Block of ViT: attention and feed-forward network, each with a preceding norm and a shortcut.

    Source: Dosovitskiy et al., ICLR 2021, https://arxiv.org/abs/2010.11929

    Args:
        embed_dims: Channels of a token.
        mlp_ratio: Ratio of the hidden channels of the feed-forward network to ``embed_dims``.
        drop_path: Stochastic depth rate.
        layer_scale: Initial value of :class:`LayerScale`; None disables it.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = TokenAttention(embed_dims, num_heads)
        self.drop_path = DropPath(drop_path)
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = FFN(
            embed_dims,
            int(mlp_ratio * embed_dims),
            act_cfg=dict(type='GELU'),
            dropout_layer=dict(type='DropPath', drop_prob=drop_path),
            add_identity=False,
        )
        scaled = layer_scale is not None
        self.ls1 = LayerScale(embed_dims, layer_scale) if scaled else nn.Identity()
        self.ls2 = LayerScale(embed_dims, layer_scale) if scaled else nn.Identity()

    def forward(
        self, x: Tensor, show: str | None = None, *, num_class_tokens: int = 0
    ) -> tuple[Tensor, Tensor | None]:
        """Return the tokens and the attention; see :meth:`TokenAttention.forward`."""
        out, attention = self.attn(self.norm1(x), show, num_class_tokens=num_class_tokens)
        x = x + self.drop_path(self.ls1(out))
        return x + self.ls2(self.ffn(self.norm2(x))), attention
