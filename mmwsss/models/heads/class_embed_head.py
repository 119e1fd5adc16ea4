"""Head with one embedding of the image per class and one learned embedding per class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmwsss.ops import clamped_cosine

# (N, L, C) -> (N, C)
MERGES: dict[str, Callable[[Tensor], Tensor]] = dict(
    sum=partial(torch.sum, dim=1), mean=partial(torch.mean, dim=1), max=partial(torch.amax, dim=1)
)


@MODELS.register_module()
class ClassEmbedHead(BaseModule):
    """Embed the patch tokens of an image once per class, and learn the semantics of the classes.

    The background is treated as a class.

    Source: Chen et al., 2022, Eqs. 1 and 2, https://arxiv.org/abs/2210.14618

    Args:
        num_classes: Number of classes including background, C.
        embed_channels: Channels of an embedding, D.
        merge: Reduction of tokens to one embedding: 'sum', 'mean' or 'max'.
        init_cfg: Initialisation of the linear layer; truncated normal by default. The semantics
            are drawn from a normal distribution.

    Raises:
        ValueError: ``num_classes`` is below 2, or ``merge`` is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        embed_channels: int = 256,
        merge: str = 'sum',
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='TruncNormal', layer='Linear', std=0.02))
        if num_classes < 2:
            raise ValueError(
                'ClassEmbedHead: num_classes includes the background, so at least 2, got '
                f'{num_classes}.'
            )
        if merge not in MERGES:
            raise ValueError(f'ClassEmbedHead: merge must be one of {(*MERGES,)}, got {merge!r}.')
        self.num_classes, self.embed_channels = num_classes, embed_channels
        self.merge = MERGES[merge]
        self.embed = nn.Linear(in_channels, num_classes * embed_channels, bias=False)
        self.semantics = nn.Embedding(num_classes, embed_channels)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the class embeddings of each token and of the image.

        Shapes:
            tokens: ``(N, L, in_channels)`` float.
            returns: ``(N, L, C * D)`` and ``(N, C, D)``, both not negative.
        """
        primary = F.relu(self.embed(tokens), inplace=True)
        return primary, self.merge(primary).unflatten(1, (self.num_classes, -1))

    def class_semantics(self) -> Tensor:
        """Return the semantics of the classes, ``(C, D)``, not negative."""
        return self.semantics.weight.relu()

    def similarity(self, embed: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the cosine similarity of each class embedding with the semantics of its class.

        Args:
            labels: Classes of each image. With labels, the semantics of a class only get a
                gradient from images of that class.

        Shapes:
            embed: ``(N, C, D)`` float.
            labels: ``(N, C)`` float, 0 or 1.
            returns: ``(N, C)`` float32 in [0, 1).
        """
        semantics = self.class_semantics()
        if labels is not None:
            semantics = torch.where(labels[..., None] > 0, semantics, semantics.detach())
        return clamped_cosine(embed, semantics)
