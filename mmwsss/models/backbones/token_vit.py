"""Vision Transformer with any number of class tokens, for images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isqrt
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_norm_layer
from mmengine.model import BaseModule
from mmengine.utils import to_2tuple
from mmseg.models.utils import PatchEmbed
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .token_block import SHOWN, TokenBlock


class Tokens(NamedTuple):
    """Result of :meth:`TokenViT.encode`."""

    maps: tuple[Tensor, ...]  # patch tokens of ``out_indices``, (N, C, h, w) each
    class_tokens: Tensor  # (N, T, C), after the last norm
    attentions: list[Tensor]  # of ``attention_blocks``, first block first
    block_tokens: list[Tensor]  # class tokens of ``token_blocks``, before the last norm


def resize_positions(
    positions: Tensor,
    size: tuple[int, int],
    new_size: tuple[int, int],
    *,
    mode: str = 'bicubic',
    offset: float = 0.0,
) -> Tensor:
    """Resize a grid of position embeddings: half-pixel centres, no antialiasing.

    Source: Touvron et al., ICML 2021, https://arxiv.org/abs/2012.12877

    Args:
        size: Rows and columns of the grid.
        new_size: Rows and columns of the result.
        mode: ``bicubic`` or ``nearest``.
        offset: Fraction of a cell, in [0, 1), added to ``new_size`` when computing the distance
            between samples, as in the code of DINO and MCTformer. If it is not 0, the grid is
            resampled even if its size does not change.

    Shapes:
        positions: ``(1, h * w, C)`` float, row by row.
        returns: ``(1, h' * w', C)``.

    Example:
        >>> resize_positions(torch.tensor([[[0.0], [8.0]]]), (1, 2), (1, 3)).flatten()
        tensor([-0.6944,  4.0000,  8.6944])
    """
    if tuple(size) == tuple(new_size) and not offset:
        return positions
    grid = positions.transpose(1, 2).unflatten(2, size)
    if offset:
        # the size follows from the factors, rounded down
        factors = [(new + offset) / old for old, new in zip(size, new_size, strict=True)]
        grid = F.interpolate(grid, scale_factor=factors, mode=mode)
    else:
        grid = F.interpolate(grid, new_size, mode=mode)
    return grid.flatten(2).transpose(1, 2)


def _embedding(
    embed_dims: int, patch_size: int, stem_channels: Sequence[int], stem_depth: int
) -> tuple[nn.Sequential, PatchEmbed]:
    """Return the convolutional stem, possibly empty, and the patch embedding."""
    stride = 2 ** len(stem_channels)
    if patch_size % stride:
        raise ValueError(
            f'TokenViT: patch_size={patch_size} must be a multiple of {stride}, the stride of a '
            f'stem of {len(stem_channels)} widths (stem_channels).'
        )
    if stem_depth < 1:
        raise ValueError(f'TokenViT: stem_depth must be 1 or more, got {stem_depth}.')
    channels = [3, *stem_channels]
    settings = dict(padding=1, norm_cfg=dict(type='BN'))
    stem = nn.Sequential()
    for before, after in pairwise(channels):
        stem.append(ConvModule(before, after, 3, stride=2, **settings))
        stem.extend(ConvModule(after, after, 3, **settings) for _ in range(stem_depth - 1))
    return stem, PatchEmbed(
        in_channels=channels[-1],
        embed_dims=embed_dims,
        kernel_size=patch_size // stride,
        padding='corner',
    )


@MODELS.register_module()
class TokenViT(BaseModule):
    """Vision Transformer (ViT, DeiT) with any number of class tokens.

    Returns maps of patch tokens, the input of MMSegmentation's heads. Position embeddings are
    resized to the size of the image, and to ``img_size`` when loading weights of another size. A
    single class token in the weights is repeated for all class tokens of the model, or ignored if
    the model has none. Sides that are not a multiple of the patch size are padded with zeros at
    the right and the bottom, or cropped (``drop_remainder``).

    Pretrained weights have names such as ``mmwsss://deit-s``;
    ``tools/model_converters/vit2mmwsss.py`` converts files of DeiT, DINO, timm and MMPretrain.

    Sources: Dosovitskiy et al., ICLR 2021, https://arxiv.org/abs/2010.11929; Touvron et al., ICML
    2021, https://arxiv.org/abs/2012.12877

    Args:
        embed_dims: Channels of a token, C.
        num_layers: Number of blocks.
        mlp_ratio: Ratio of the hidden channels of the feed-forward networks to C.
        patch_size: Side of a patch in pixels.
        img_size: Side, or (height, width), of the image that the position embeddings belong to.
        num_class_tokens: Number of class tokens, T.
        stem_channels: Channels of convolutions of stride 2 before the patch embedding, which help
            to learn shapes from few images (Xiao et al., NeurIPS 2021,
            https://arxiv.org/abs/2106.14881). They do not change the patch size.
        stem_depth: Number of convolutions per entry of ``stem_channels``; the first is strided.
        class_positions: Whether class tokens have position embeddings.
        out_indices: Indices of the blocks whose patch tokens are returned; negative indices count
            from the end. Tokens of the last block pass the last norm.
        attention_blocks: Indices of the blocks whose attention can be returned.
        token_blocks: Indices of the blocks whose class tokens are returned, without norm.
        layer_scale: Initial value of the layer scale of DINOv2; None disables it.
        drop_path_rate: Stochastic depth rate of the last block; increases linearly from 0.
        frozen_blocks: Number of blocks to freeze, together with the embeddings before them.
        final_norm: Whether a norm follows the last block.
        position_init: Mode of :func:`resize_positions` when loading weights of another size.
        position_offset: Offset of :func:`resize_positions` for images whose size or aspect ratio
            differs from ``img_size``.
        frozen_positions: Whether to freeze the position embeddings.
        drop_remainder: Crop rows and columns that do not fill a patch instead of padding them.
        with_cp: Recompute the activations of a block in the backward pass to save memory.
        init_cfg: Pretrained weights or initialisation; truncated normal for linear layers by
            default.

    Raises:
        ValueError: a block does not exist, ``frozen_blocks``, ``stem_depth`` or
            ``position_offset`` is out of range, ``position_init`` is unknown, ``embed_dims`` is
            not a multiple of ``num_heads``, ``img_size`` not of ``patch_size``, or ``patch_size``
            not of the stride of the stem.
    """

    def __init__(
        self,
        embed_dims: int = 768,
        num_layers: int = 12,
        *,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        patch_size: int = 16,
        img_size: int | tuple[int, int] = 224,
        num_class_tokens: int = 0,
        stem_channels: Sequence[int] = (),
        stem_depth: int = 1,
        class_positions: bool = True,
        out_indices: Sequence[int] = (-1,),
        attention_blocks: Sequence[int] = (),
        token_blocks: Sequence[int] = (),
        layer_scale: float | None = None,
        drop_path_rate: float = 0.0,
        frozen_blocks: int = 0,
        final_norm: bool = True,
        position_init: str = 'bicubic',
        position_offset: float = 0.0,
        frozen_positions: bool = False,
        drop_remainder: bool = False,
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='TruncNormal', layer='Linear', std=0.02, bias=0))
        height, width = to_2tuple(img_size)
        self._check(embed_dims, num_heads, patch_size, (height, width))
        self._check_positions(position_init, position_offset)
        norm_cfg = norm_cfg or dict(type='LN', eps=1e-6)
        self.position_init, self.position_offset = position_init, position_offset
        self.embed_dims, self.num_class_tokens, self.with_cp = embed_dims, num_class_tokens, with_cp
        self.patch_size = patch_size
        self.out_indices = self._places('out_indices', out_indices, num_layers)
        self.attention_blocks = self._places('attention_blocks', attention_blocks, num_layers)
        self.token_blocks = self._places('token_blocks', token_blocks, num_layers)
        # read by heads on the attention
        self.attention_maps = num_heads * len(self.attention_blocks)
        self.grid = height // patch_size, width // patch_size
        self.stem, self.patch_embed = _embedding(embed_dims, patch_size, stem_channels, stem_depth)
        self.drop_remainder = drop_remainder
        self.pos_embed = self._table(self.grid[0] * self.grid[1])
        self.class_tokens = self._table(num_class_tokens)
        self.class_pos_embed = self._table(num_class_tokens if class_positions else 0)
        rates = torch.linspace(0, drop_path_rate, num_layers, device='cpu').tolist()
        self.layers = nn.ModuleList(
            TokenBlock(
                embed_dims,
                num_heads,
                mlp_ratio=mlp_ratio,
                drop_path=r,
                layer_scale=layer_scale,
                norm_cfg=norm_cfg,
            )
            for r in rates
        )
        self.norm = build_norm_layer(norm_cfg, embed_dims)[1] if final_norm else None
        self._freeze(frozen_blocks, frozen_positions)

    @staticmethod
    def _check(embed_dims: int, num_heads: int, patch_size: int, img_size: tuple[int, int]) -> None:
        if embed_dims % num_heads:
            raise ValueError(
                f'TokenViT: num_heads={num_heads} must divide embed_dims={embed_dims}.'
            )
        if img_size[0] % patch_size or img_size[1] % patch_size:
            raise ValueError(
                f'TokenViT: img_size must be a multiple of patch_size={patch_size}, got {img_size}.'
            )

    @staticmethod
    def _check_positions(init: str, offset: float) -> None:
        if init not in ('bicubic', 'nearest') or not 0 <= offset < 1:
            raise ValueError(
                "TokenViT: position_init must be 'bicubic' or 'nearest' and position_offset lie in "
                f'0 to below 1, got {init!r} and {offset}.'
            )

    def _freeze(self, num_blocks: int, positions: bool) -> None:
        """Freeze the first blocks and everything before them, and the position embeddings."""
        if not 0 <= num_blocks <= len(self.layers):
            raise ValueError(
                f'TokenViT: frozen_blocks must lie in 0 to {len(self.layers)}, got {num_blocks}.'
            )
        frozen = [self.pos_embed, self.class_pos_embed] if positions or num_blocks else []
        if num_blocks:
            frozen += [self.class_tokens, *self.stem.parameters(), *self.patch_embed.parameters()]
            frozen += self.layers[:num_blocks].parameters()
        for parameter in frozen:
            if parameter is not None:
                parameter.requires_grad_(False)

    @staticmethod
    def _places(name: str, indices: Sequence[int], num_layers: int) -> tuple[int, ...]:
        """Return sorted, non-negative indices of blocks."""
        wrong = [i for i in indices if not -num_layers <= i < num_layers]
        if wrong:
            raise ValueError(
                f'TokenViT: {name} must lie in {-num_layers} to {num_layers - 1}, got '
                f'{tuple(indices)}.'
            )
        return tuple(sorted({i % num_layers for i in indices}))

    def _table(self, length: int) -> nn.Parameter | None:
        """Return a learned table ``(1, length, C)``, or None if it would be empty."""
        if not length:
            return None
        return nn.Parameter(
            nn.init.trunc_normal_(torch.empty(1, length, self.embed_dims), std=0.02)
        )

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Adapt weights of another image size (square) or with a single class token."""
        for name in ('class_tokens', 'class_pos_embed'):
            table, wanted = state_dict.get(prefix + name), getattr(self, name)
            if wanted is None and table is not None and self.class_tokens is None:
                # pretrained weights include a class token
                state_dict = {k: x for k, x in state_dict.items() if k != prefix + name}
            if wanted is not None and table is not None and table.ndim == 3 and len(table[0]) == 1:
                repeated = table.expand(-1, self.num_class_tokens, -1)
                state_dict = {**state_dict, prefix + name: repeated}
        if self.norm is None:
            unread = f'{prefix}norm.'
            state_dict = {k: x for k, x in state_dict.items() if not k.startswith(unread)}
        name = f'{prefix}pos_embed'
        table = state_dict.get(name)
        if table is not None and table.shape != self.pos_embed.shape and table.ndim == 3:
            side = isqrt(table.shape[1])
            if side * side == table.shape[1]:
                resized = resize_positions(
                    table.float(), (side, side), self.grid, mode=self.position_init
                )
                state_dict = {**state_dict, name: resized.to(table.dtype)}
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _fits(self, size: tuple[int, int]) -> bool:
        """Return whether an image has the aspect ratio of the grid, to the pixel."""
        return size[0] * self.grid[1] == size[1] * self.grid[0]

    def _embed(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return all embedded tokens ``(N, T + L, C)`` and the size of the grid."""
        alike = self._fits(tuple(x.shape[2:]))
        if self.drop_remainder:
            # at least one patch: smaller images are padded to it
            height, width = (max(n // self.patch_size, 1) * self.patch_size for n in x.shape[2:])
            x = x[..., :height, :width]
        x, grid = self.patch_embed(self.stem(x))
        offset = 0.0 if alike and grid == self.grid else self.position_offset
        x = x + resize_positions(self.pos_embed, self.grid, grid, offset=offset)
        if self.class_tokens is not None:
            tokens = self.class_tokens
            if self.class_pos_embed is not None:
                tokens = tokens + self.class_pos_embed
            x = torch.cat([tokens.expand(len(x), -1, -1).to(x.dtype), x], dim=1)
        return x, grid

    def _run_block(
        self, block: TokenBlock, x: Tensor, show: str | None
    ) -> tuple[Tensor, Tensor | None]:
        if self.with_cp and x.requires_grad:
            return checkpoint(
                block, x, show, num_class_tokens=self.num_class_tokens, use_reentrant=False
            )
        return block(x, show, num_class_tokens=self.num_class_tokens)

    def encode(self, x: Tensor, *, attention: str | None = None) -> Tokens:
        """Return maps of patch tokens, class tokens and, on request, attention.

        Args:
            attention: ``raw`` returns the attention between patches before scaling and softmax,
                ``class`` that from class tokens to patches after the softmax over all tokens,
                ``mean`` that from all tokens to patches, averaged over heads.

        Shapes:
            x: ``(N, 3, H, W)`` float.
            returns: ``maps`` ``(N, C, h, w)`` each, ``class_tokens`` ``(N, T, C)``,
                ``attentions`` of ``attention_blocks``, each ``(N, heads, L, L)``, ``(N, heads, T,
                L)`` or ``(N, T + L, L)``, L = h * w, and ``block_tokens`` of ``token_blocks``, each
                ``(N, T, C)``.

        Raises:
            ValueError: ``attention`` is unknown.
        """
        if attention not in (None, *SHOWN):
            raise ValueError(f'TokenViT: attention must be one of {SHOWN}, got {attention!r}.')
        x, grid = self._embed(x)
        maps, attentions, block_tokens, last = [], [], [], len(self.layers) - 1
        for i, block in enumerate(self.layers):
            show = attention if i in self.attention_blocks else None
            x, shown = self._run_block(block, x, show)
            if shown is not None:
                attentions.append(shown)
            if i in self.token_blocks:
                block_tokens.append(x[:, : self.num_class_tokens])
            if i == last and self.norm is not None:
                x = self.norm(x)
            if i in self.out_indices:
                patches = x[:, self.num_class_tokens :]
                maps.append(patches.transpose(1, 2).unflatten(2, grid))
        return Tokens(tuple(maps), x[:, : self.num_class_tokens], attentions, block_tokens)

    def forward(
        self, x: Tensor, return_attention: bool = False
    ) -> tuple[Tensor, ...] | tuple[tuple[Tensor, ...], list[Tensor]]:
        """Return the maps and, on request, the raw attention between patches.

        Args:
            return_attention: Also return the attention of ``attention_blocks``, like
                :class:`AttentionMiT`.

        Shapes:
            x: ``(N, 3, H, W)`` float.
            returns: tuple of ``(N, C, h, w)``, one per index in ``out_indices``; a list of
                ``(N, heads, L, L)``.
        """
        tokens = self.encode(x, attention='raw' if return_attention else None)
        return (tokens.maps, tokens.attentions) if return_attention else tokens.maps
