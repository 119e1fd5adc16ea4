"""Head that classifies every patch and pools the probabilities of the patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from .cam_head import CAMHead

POOLING = dict(type='AdaptiveKPooling', k=6, margin=0.05)


@MODELS.register_module()
class PatchClassifierHead(CAMHead):
    """Patch classifier of APC: a :class:`CAMHead` whose maps are probabilities of K + 1 classes.

    The background is part of the softmax and the pooling, and is trained as a class that is
    present in every image.

    Source: Wu et al., 2024, Eqs. 1 to 3, https://arxiv.org/abs/2407.10649, and, for the classifier,
    Rossetti et al. (ViT-PCM), ECCV 2022, https://arxiv.org/abs/2210.17400

    Args:
        num_classes: Number of classes including background.
        in_index: Index of the feature map to use.
        pooling: As for :class:`CAMHead`; ``AdaptiveKPooling`` with k 6 and margin 0.05 by default.
        dropout: Dropout probability of an activation before the classifier.
        loss_cls: Config of the loss on ``(N, K + 1)`` probabilities and labels;
            ``MultiLabelCrossEntropyLoss`` by default.
        init_cfg: Initialisation; normal with standard deviation 0.05 by default.

    Raises:
        ValueError: ``num_classes`` or ``pooling`` is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        in_index: int = -1,
        pooling: str | dict | None = None,
        dropout: float = 0.2,
        loss_cls: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            num_classes,
            in_index=in_index,
            pooling=pooling or POOLING,
            with_background=True,
            loss_cls=loss_cls or dict(type='MultiLabelCrossEntropyLoss'),
            init_cfg=init_cfg or dict(type='Normal', layer='Conv2d', std=0.05),
        )
        # single activations, where CAMHead drops whole channels
        self.dropout = nn.Dropout(dropout)

    def image_scores(self, cam: Tensor) -> Tensor:
        """Pool patch scores including background: ``(N, K + 1, h, w)`` -> ``(N, K + 1)``."""
        return self.pool(cam)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the probabilities of the patches and of the image.

        Shapes:
            feats: backbone outputs; ``(N, in_channels, h, w)`` at ``in_index``.
            returns: ``(N, K + 1, h, w)``, sums to 1 over the classes, and ``(N, K + 1)``;
                background first, at least float32.
        """
        logits = self.conv_cam(self.dropout(feats[self.in_index]))
        scores = logits.softmax(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))
        return scores, self.image_scores(scores)

    def loss_by_scores(self, scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the classification loss under its name.

        Shapes:
            scores: ``(N, K + 1)`` probabilities, background first.
            labels: ``(N, K)`` float multi-hot; a 1 for the background is prepended.
        """
        return super().loss_by_scores(scores, F.pad(labels, (1, 0), value=1.0))
