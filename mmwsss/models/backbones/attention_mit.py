"""Mix Vision Transformer that can also return the attention of selected blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmseg.models.backbones.mit import (
    EfficientMultiheadAttention,
    MixVisionTransformer,
    TransformerEncoderLayer,
)
from mmseg.models.utils import nchw_to_nlc, nlc_to_nchw
from mmseg.registry import MODELS
from torch import Tensor
from torch.utils import checkpoint

Asked = bool | Literal['factors']
Attention = Tensor | tuple[Tensor, Tensor]


def _at_least(maps: Tensor, side: int) -> Tensor:
    """Pad maps with zeros at the right and the bottom to a minimum side."""
    height, width = maps.shape[2:]
    if min(height, width) >= side:
        return maps
    return F.pad(maps, (0, max(side - width, 0), 0, max(side - height, 0)))


def _queries_keys_values(
    layer: EfficientMultiheadAttention, x: Tensor, hw_shape: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Project positions: ``(N, L, C)`` -> three times ``(N, heads, positions, C / heads)``."""
    weight, bias = layer.attn.in_proj_weight, layer.attn.in_proj_bias
    heads, channels = layer.attn.num_heads, x.shape[2]
    if layer.sr_ratio == 1:
        projected = F.linear(x, weight, bias).unflatten(2, (3, heads, -1))
        return projected.permute(2, 0, 3, 1, 4).unbind()
    reduced = layer.norm(nchw_to_nlc(layer.sr(_at_least(nlc_to_nchw(x, hw_shape), layer.sr_ratio))))
    biases = (None, None) if bias is None else (bias[:channels], bias[channels:])
    queries = F.linear(x, weight[:channels], biases[0]).unflatten(2, (heads, -1))
    both = F.linear(reduced, weight[channels:], biases[1]).unflatten(2, (2, heads, -1))
    return queries.transpose(1, 2), *both.permute(2, 0, 3, 1, 4).unbind()


def attend(
    layer: EfficientMultiheadAttention,
    x: Tensor,
    hw_shape: tuple[int, int],
    *,
    return_attention: Asked,
) -> tuple[Tensor, Attention | None]:
    """Apply an attention layer of MMSegmentation's MiT without its shortcut.

    Without ``return_attention``, PyTorch's fused kernel computes the output without storing the
    attention. With it, the output is computed from the returned attention.

    Args:
        return_attention: Return the raw attention, or queries and keys for 'factors'.

    Shapes:
        x: ``(N, L, C)`` float, normalised; L = h * w of ``hw_shape``.
        returns: ``(N, L, C)``, and the raw attention ``Q K^T`` ``(N, heads, L, L')`` before
            scaling and softmax, or the pair of its factors ``Q`` ``(N, heads, L, d)`` and ``K``
            ``(N, heads, L', d)``, or None; L' is L over the square of the spatial reduction.
    """
    queries, keys, values = _queries_keys_values(layer, x, hw_shape)
    dropout = layer.attn.dropout if layer.training else 0.0
    attention = (queries, keys) if return_attention == 'factors' else None
    if return_attention is True:
        attention = queries @ keys.transpose(2, 3)
        weights = (attention * queries.shape[3] ** -0.5).softmax(dim=3)
        out = F.dropout(weights, dropout) @ values
    else:
        out = F.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout)
    out = layer.attn.out_proj(out.transpose(1, 2).flatten(2))
    return layer.dropout_layer(layer.proj_drop(out)), attention


@MODELS.register_module()
class AttentionMiT(MixVisionTransformer):
    """Mix Vision Transformer (MiT) that can also return the raw attention of selected blocks.

    Computes the same features as MMSegmentation's ``MixVisionTransformer`` and loads its
    checkpoints. Images can have any size; ``MixVisionTransformer`` needs sides of at least 29
    pixels.

    Sources: Xie et al., NeurIPS 2021, https://arxiv.org/abs/2105.15203; the attention: Ru et al.,
    CVPR 2022, Sec. 3.2, https://arxiv.org/abs/2203.02664

    Args:
        attention_blocks: Indices of the blocks whose attention :meth:`forward` can return, over
            all stages; negative indices count from the end.
        embed_norm_cfg: Config of the norms of the patch embeddings and of the reduced keys,
            ``norm_cfg`` by default. The published MiT uses ``dict(type='LN', eps=1e-5)`` there
            and 1e-6, the default of ``norm_cfg``, elsewhere.
        **kwargs: Arguments of ``MixVisionTransformer``; ``strides`` are those of the patch
            embeddings.

    Raises:
        ValueError: a block does not exist.
    """

    gives_factors = True  # supports forward(x, return_attention='factors')

    def __init__(
        self,
        attention_blocks: Sequence[int] = (-2, -1),
        *,
        embed_norm_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        blocks = [block for stage in self.layers for block in stage[1]]
        wrong = [i for i in attention_blocks if not -len(blocks) <= i < len(blocks)]
        if wrong:
            raise ValueError(
                f'AttentionMiT: attention_blocks must lie in {-len(blocks)} to {len(blocks) - 1}, '
                f'got {tuple(attention_blocks)}.'
            )
        self.attention_blocks = tuple(sorted({i % len(blocks) for i in attention_blocks}))
        # read by the heads on the attention
        self.attention_maps = sum(blocks[i].attn.num_heads for i in self.attention_blocks)
        if embed_norm_cfg is not None:
            self._set_embed_norms(embed_norm_cfg)

    def _set_embed_norms(self, norm_cfg: dict) -> None:
        for embed, blocks, _ in self.layers:
            embed.norm = build_norm_layer(norm_cfg, embed.embed_dims)[1]
            for block in blocks:
                if block.attn.sr_ratio > 1:
                    block.attn.norm = build_norm_layer(norm_cfg, embed.embed_dims)[1]

    @staticmethod
    def _run_block(
        block: TransformerEncoderLayer,
        x: Tensor,
        hw_shape: tuple[int, int],
        return_attention: Asked,
    ) -> tuple[Tensor, Attention | None]:
        def run(x: Tensor) -> tuple[Tensor, Attention | None]:
            out, attention = attend(
                block.attn, block.norm1(x), hw_shape, return_attention=return_attention
            )
            x = x + out
            return block.ffn(block.norm2(x), hw_shape, identity=x), attention

        if block.with_cp and x.requires_grad:
            return checkpoint.checkpoint(run, x, use_reentrant=False)
        return run(x)

    def forward(
        self, x: Tensor, return_attention: Asked = False
    ) -> list[Tensor] | tuple[list[Tensor], list[Attention]]:
        """Return the features and, on request, the raw attention of ``attention_blocks``.

        Args:
            return_attention: Also return the attention. 'factors' returns queries and keys
                instead, which avoids storing their product, by far the largest tensor.

        Shapes:
            x: ``(N, 3, H, W)`` float.
            returns: list of ``(N, C, h, w)``, one per index in ``out_indices``; a second list of
                ``(N, heads, L, L')``, ordered by depth, or of pairs ``(N, heads, L, d)``,
                ``(N, heads, L', d)``.
        """
        feats, attentions, index = [], [], 0
        for i, (embed, blocks, norm) in enumerate(self.layers):
            x, hw_shape = embed(x)
            for block in blocks:
                wanted = return_attention if index in self.attention_blocks else False
                x, attention = self._run_block(block, x, hw_shape, wanted)
                if wanted:
                    attentions.append(attention)
                index += 1
            x = nlc_to_nchw(norm(x), hw_shape)
            if i in self.out_indices:
                feats.append(x)
        return (feats, attentions) if return_attention else feats
