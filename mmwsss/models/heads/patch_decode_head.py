"""Head that reconstructs an image from tokens."""

from __future__ import annotations

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmwsss.models.backbones.token_block import TokenBlock


@MODELS.register_module()
class PatchDecodeHead(BaseModule):
    """Decoder of the class-aware auto-encoder: transformer blocks without position embedding.

    Source: Chen et al., 2022, Eq. 3, https://arxiv.org/abs/2210.14618

    Args:
        in_channels: Channels of an input token.
        embed_dims: Channels of a token in the blocks.
        hidden_channels: Channels that an input token is first reduced to, ``embed_dims`` by
            default; the published code uses the width of the encoder.
        num_layers: Number of blocks.
        patch_size: Side of a patch in pixels.
        init_cfg: Initialisation; truncated normal for linear layers by default.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int = 768,
        *,
        hidden_channels: int | None = None,
        num_layers: int = 8,
        num_heads: int = 12,
        patch_size: int = 16,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='TruncNormal', layer='Linear', std=0.02, bias=0))
        norm_cfg = norm_cfg or dict(type='LN', eps=1e-5)
        hidden = hidden_channels or embed_dims
        self.patch_size = patch_size
        self.reduce = nn.Sequential(
            nn.Linear(in_channels, hidden, bias=False), build_norm_layer(norm_cfg, hidden)[1]
        )
        self.project = nn.Linear(hidden, embed_dims)
        self.layers = nn.ModuleList(
            TokenBlock(embed_dims, num_heads, norm_cfg=norm_cfg) for _ in range(num_layers)
        )
        self.norm = build_norm_layer(norm_cfg, embed_dims)[1]
        self.paint = nn.Linear(embed_dims, 3 * patch_size**2)

    def decode(self, x: Tensor) -> Tensor:
        """Return the pixels of each patch.

        Shapes:
            x: ``(N, L, embed_dims)`` float.
            returns: ``(N, L, 3 * patch_size ** 2)``, channel by channel, row by row.
        """
        for block in self.layers:
            x = block(x)[0]
        return self.paint(self.norm(x))

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the image.

        Args:
            grid: Rows and columns of patches, L in total.

        Shapes:
            x: ``(N, L, in_channels)`` float.
            returns: ``(N, 3, H, W)`` float, with H and W the grid times ``patch_size``.
        """
        pixels = self.decode(self.project(self.reduce(x)))
        return F.pixel_shuffle(pixels.transpose(1, 2).unflatten(2, grid), self.patch_size)
