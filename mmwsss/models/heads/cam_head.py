"""Classification head with class activation maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.models.utils import image_labels

# (N, L, C) -> (N, C)
POOLINGS: dict[str, Callable[[Tensor], Tensor]] = dict(
    gap=partial(torch.mean, dim=1), gmp=partial(torch.amax, dim=1)
)


@MODELS.register_module()
class CAMHead(BaseModule):
    """Classifier at every position, 1x1 by default, pooled to image scores.

    Its output is the class activation map; by default, it has no bias. Works as ``cam_head``
    of :class:`WeakSegmentor` and as ``auxiliary_head`` of any MMSeg model. Samples without
    ``gt_score`` are labelled with the classes of their masks.

    Source: Zhou et al., CVPR 2016, https://arxiv.org/abs/1512.04150

    Args:
        num_classes: Number of classes including background.
        in_index: Index of the feature map to use.
        pooling: ``gap`` (average), ``gmp`` (maximum) or the config of a registered module
            that maps ``(N, L, C)`` to ``(N, C)``, such as ``dict(type='AdaptiveKPooling', k=6)``.
        pool_on: ``cam`` pools the class maps, ``features`` pools before classifying.
        with_background: Add a channel 0 for the background to the maps; it gets no score.
        kernel_size: Kernel size of the classifier, odd.
        bias: Whether the classifier has a bias.
        dropout: Dropout probability of a feature channel.
        loss_cls: Config of the loss on ``(N, K)`` scores and labels.
        init_cfg: Initialisation; Xavier by default.

    Raises:
        ValueError: ``num_classes``, ``pooling``, ``pool_on`` or ``kernel_size`` is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        in_index: int = -1,
        pooling: str | dict = 'gap',
        pool_on: str = 'cam',
        with_background: bool = False,
        kernel_size: int = 1,
        bias: bool = False,
        dropout: float = 0.5,
        loss_cls: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Xavier', layer='Conv2d', distribution='uniform'))
        if num_classes < 2:
            raise ValueError(
                f'CAMHead: num_classes includes the background, so at least 2, got {num_classes}.'
            )
        if isinstance(pooling, str) and pooling not in POOLINGS:
            raise ValueError(
                f"CAMHead: pooling must be 'gap', 'gmp' or the config of a module, got {pooling!r}."
            )
        if pool_on not in ('cam', 'features'):
            raise ValueError(f"CAMHead: pool_on must be 'cam' or 'features', got {pool_on!r}.")
        if kernel_size < 1 or kernel_size % 2 == 0 or (kernel_size > 1 and pool_on == 'features'):
            raise ValueError(
                "CAMHead: kernel_size must be odd, and 1 with pool_on='features', got "
                f'{kernel_size}.'
            )
        self.num_classes = num_classes
        self.in_index = in_index
        self.pool_on = pool_on
        self.with_background = with_background
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()
        channels = num_classes - 1 + with_background
        self.conv_cam = nn.Conv2d(
            in_channels, channels, kernel_size, padding=kernel_size // 2, bias=bias
        )
        self.pooling = POOLINGS[pooling] if isinstance(pooling, str) else MODELS.build(pooling)
        self.loss_cls = MODELS.build(loss_cls or dict(type='MultiLabelSoftMarginLoss'))

    def pool(self, maps: Tensor) -> Tensor:
        """Pool positions: ``(N, C, h, w)`` -> ``(N, C)``."""
        return self.pooling(maps.flatten(2).transpose(1, 2))

    def image_scores(self, cam: Tensor) -> Tensor:
        """Pool the class maps without background.

        Shapes:
            cam: ``(N, K, h, w)``, or ``(N, K + 1, h, w)`` with background.
            returns: ``(N, K)`` logits.
        """
        return self.pool(cam[:, 1:] if self.with_background else cam)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return class maps and image scores.

        Shapes:
            feats: backbone outputs; ``(N, in_channels, h, w)`` at ``in_index``.
            returns: ``(N, K, h, w)`` raw maps (K + 1 channels with background), and
                ``(N, K)`` logits.
        """
        x = self.dropout(feats[self.in_index])
        cam = self.conv_cam(x)
        if self.pool_on == 'cam':
            return cam, self.image_scores(cam)
        scores = self.conv_cam(self.pool(x)[..., None, None]).flatten(1)
        return cam, scores[:, 1:] if self.with_background else scores

    def loss_by_scores(self, scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the classification loss under its name; both ``(N, K)``."""
        return {getattr(self.loss_cls, 'loss_name', 'loss_cls'): self.loss_cls(scores, labels)}

    def loss(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: list[SegDataSample],
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Return the classification loss; MMSeg calls this for auxiliary heads.

        Args:
            inputs: Backbone outputs.
            batch_data_samples: Samples with ``gt_score`` or a mask.
            train_cfg: Ignored.
        """
        scores = self(inputs)[1]
        return self.loss_by_scores(
            scores, image_labels(batch_data_samples, self.num_classes, scores.device)
        )
