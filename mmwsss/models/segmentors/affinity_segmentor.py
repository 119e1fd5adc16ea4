"""Base of the networks that learn which neighbouring cells belong together."""

from __future__ import annotations

from abc import abstractmethod
from typing import NoReturn

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.models.losses.affinity_loss import pair_labels


class AffinitySegmentor(BaseSegmentor):
    """Network whose output says how alike neighbouring cells are; it knows no classes.

    Trained on affinity labels, which ``tools/make_affinity_labels.py`` makes of class activation
    maps. What it predicts is what a random walk needs to spread the maps, not a segmentation.

    Args:
        backbone: Config of the backbone.
        radius: Of the disc in which cells make pairs while training, in cells.
        loss_affinity: Config of the loss on the pairs.
        data_preprocessor: Config of the data preprocessor.
        pretrained: Checkpoint of the backbone, as in MMSeg.
        train_cfg: Not used; MMSeg's ``init_model`` sets it.
        init_cfg: Weights to start from.

    Raises:
        ValueError: ``radius`` is smaller than 2.
    """

    def __init__(
        self,
        backbone: dict,
        *,
        radius: int,
        loss_affinity: dict | None = None,
        data_preprocessor: dict | None = None,
        pretrained: str | None = None,
        train_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if radius < 2:
            raise ValueError(f'{type(self).__name__}: radius must be at least 2, got {radius}.')
        if pretrained is not None:
            backbone = {**backbone, 'init_cfg': dict(type='Pretrained', checkpoint=pretrained)}
        self.backbone = MODELS.build(backbone)
        self.radius = radius
        self.loss_affinity = MODELS.build(loss_affinity or dict(type='PairAffinityLoss'))

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the backbone."""
        return self.backbone(inputs)

    def encode_decode(self, inputs: Tensor, batch_data_samples: list[SegDataSample]) -> NoReturn:
        """Refuse: there is no segmentation before the random walk."""
        raise NotImplementedError(
            f'{type(self).__name__} gives no segmentation: spread class activation maps along '
            'its affinities (RandomWalk).'
        )

    @abstractmethod
    def pair_affinity(self, maps: Tensor) -> Tensor:
        """Return the affinity of all pairs of cells of the network's output."""

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return ``loss_affinity`` of a batch.

        Args:
            inputs: Images.
            data_samples: With the affinity label as ``gt_sem_seg``: class, 0 for background,
                255 for ignored. Of a label that is larger than the grid of features, the pixel
                at the centre of each cell is taken.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.

        Raises:
            ValueError: a sample has no label.
        """
        (maps,) = self._forward(inputs).values()
        label_map = self._label_map(data_samples, maps.shape[2:]).to(maps.device)
        labels = pair_labels(label_map, self.radius)
        # in half precision the affinities would be too coarse
        return dict(loss_affinity=self.loss_affinity(self.pair_affinity(maps.float()), labels))

    @staticmethod
    def _label_map(data_samples: list[SegDataSample], size: tuple[int, int]) -> Tensor:
        """Stack the labels of a batch at the size of the grid, ``(N, h, w)`` uint8."""
        for sample in data_samples:
            if 'gt_sem_seg' not in sample:
                raise ValueError(
                    f'image {sample.metainfo.get("img_path", "of the batch")} has no affinity '
                    'label (gt_sem_seg): put LoadAffinityLabel, or LoadAffinityScores and '
                    'FuseAffinityScores, into the pipeline.'
                )
        labels = torch.stack([sample.gt_sem_seg.data for sample in data_samples])
        labels = labels.to(torch.uint8)  # (N, 1, H, W)
        if labels.shape[2:] != size:
            labels = F.interpolate(labels, size, mode='nearest-exact')
        return labels[:, 0]

    @staticmethod
    def _write(
        data_samples: list[SegDataSample] | None, name: str, maps: Tensor
    ) -> list[SegDataSample]:
        """Put the map of each image into its sample, or into a new one."""
        if data_samples is None:
            data_samples = [SegDataSample() for _ in maps]
        for sample, values in zip(data_samples, maps, strict=True):
            sample.set_data({name: PixelData(data=values)})
        return data_samples
