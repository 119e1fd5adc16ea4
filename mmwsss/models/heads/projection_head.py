"""Head that projects tokens to cosines with learned directions."""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.model import BaseModule, Sequential
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


@MODELS.register_module()
class ProjectionHead(BaseModule):
    """Three linear layers with GELU, L2 norm, and a layer whose weights have norm 1.

    What comes out are cosines of the projected token and the directions of the last layer.

    Sources: Caron et al. (DINO), ICCV 2021, https://arxiv.org/abs/2104.14294; Ru et al. (ToCo),
    CVPR 2023, https://arxiv.org/abs/2303.01267

    Args:
        in_channels: Channels of a token.
        hidden_channels: Of the first two layers.
        bottleneck_channels: Of the third, which is normalised.
        out_channels: Directions of the last layer, D.
        init_cfg: Initialisation of the first three layers; a truncated normal distribution by
            default. The last one has PyTorch's.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 2048,
        *,
        bottleneck_channels: int = 256,
        out_channels: int = 1024,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__()
        self.mlp = Sequential(
            nn.Linear(in_channels, hidden_channels),
            nn.GELU(),
            nn.Linear(hidden_channels, hidden_channels),
            nn.GELU(),
            nn.Linear(hidden_channels, bottleneck_channels),
            init_cfg=init_cfg or dict(type='TruncNormal', layer='Linear', std=0.02, bias=0),
        )
        self.last = weight_norm(nn.Linear(bottleneck_channels, out_channels, bias=False))
        # the norms of the rows, which do not learn
        norms = self.last.parametrizations.weight.original0
        norms.data.fill_(1.0)
        norms.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the cosines.

        Shapes:
            x: ``(..., in_channels)`` float.
            returns: ``(..., D)`` in [-1, 1].
        """
        return self.last(F.normalize(self.mlp(x), dim=-1))
