"""SEAM: self-supervised equivariant attention."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.models.segmentors.weak_segmentor import TEST_DEFAULTS, WeakSegmentor
from mmwsss.models.utils import image_labels
from mmwsss.ops import keep_maximum, max_norm

from .pair_maps import PairMaps

EPS = 1e-5
MAPS = dict(refined='cam_rv', raw='cam')


def correlation_input(cam: Tensor) -> Tensor:
    """Normalise class maps for the pixel correlation module, without gradient or labels.

    Source: Wang et al., CVPR 2020, Sec. 3.4, https://arxiv.org/abs/2004.04581

    Shapes:
        cam: ``(N, K + 1, h, w)`` float, raw; what channel 0 holds is not used.
        returns: the same shape, in [0, 1].

    Example:
        >>> import torch
        >>> cam = torch.tensor([[[[0.]], [[2.]], [[-1.]]]])
        >>> correlation_input(cam).flatten().round(decimals=3)
        tensor([0., 1., 0.])
    """
    cam = cam.detach().float().relu()
    peak = cam.amax(dim=(2, 3), keepdim=True)
    return keep_maximum((cam - EPS).relu() / (peak + EPS))


@MODELS.register_module()
class SEAM(WeakSegmentor):
    """Self-supervised Equivariant Attention Mechanism (SEAM).

    Source: Wang et al., CVPR 2020, https://arxiv.org/abs/2004.04581

    Two branches share the network; the second sees the transformed image. Their maps are
    pulled together (ER), and each branch's maps refined by pixel correlation (PCM) towards the
    other's (ECR). Prediction uses the refined maps, with ``test_cfg.maps`` 'raw' those before.

    ``mode='tensor'`` gives ``cam`` and ``cam_rv`` ``(N, K + 1, H, W)`` at input size, raw and
    refined, and ``cls`` ``(N, K)``; without ``pcm`` no ``cam_rv``.

    Args:
        pcm: Config of the pixel correlation module; None leaves it out, with the two losses on
            the refined maps: ER alone.
        transformation: Config of the transformation of the second branch.
        loss_er: Config of the loss between the branches' maps; None leaves it out.
        loss_ecr: Config of the loss on the refined maps; None leaves it out.
        loss_rvmin: Config of the min-pooling loss on the refined maps; None leaves it out.
        **kwargs: Arguments of :class:`WeakSegmentor`; its ``cam_head`` must have
            ``with_background=True``.

    Raises:
        ValueError: the head has no background channel, or refined maps are asked for and there
            is no ``pcm``.
    """

    test_defaults = {**TEST_DEFAULTS, 'maps': 'refined'}

    def __init__(
        self,
        *,
        pcm: dict | None,
        transformation: dict | None = None,
        loss_er: dict | None = None,
        loss_ecr: dict | None = None,
        loss_rvmin: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pcm=pcm, **kwargs)
        if not self.cam_head.with_background:
            raise ValueError('SEAM: cam_head must have with_background=True.')
        self._check_maps(bool(pcm), refined_losses=bool(loss_ecr or loss_rvmin))
        self.transformation = MODELS.build(transformation or dict(type='EquivariantRescale'))
        self.loss_er = MODELS.build(loss_er) if loss_er else None
        self.loss_ecr = MODELS.build(loss_ecr) if loss_ecr else None
        self.loss_rvmin = MODELS.build(loss_rvmin) if loss_rvmin else None

    def _check_maps(self, has_pcm: bool, *, refined_losses: bool) -> None:
        maps = self.test_cfg.maps
        if maps not in MAPS:
            raise ValueError(f'SEAM: test_cfg.maps must be one of {tuple(MAPS)}, got {maps!r}.')
        if not has_pcm and (refined_losses or maps == 'refined'):
            raise ValueError(
                "SEAM: without pcm there are no refined maps: set test_cfg.maps='raw', and "
                'loss_ecr and loss_rvmin to None.'
            )

    @property
    def cam_key(self) -> str:
        """Which of the tensors of :meth:`forward` are the maps."""
        return MAPS[self.test_cfg.maps]

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the raw and the refined maps at input size and the image scores."""
        feats = self.extract_feat(inputs)
        maps = dict(cam=self.cam_head(feats)[0].float())
        if self.pcm is not None:
            maps['cam_rv'] = self.pcm(inputs, correlation_input(maps['cam']), feats)
        size = inputs.shape[2:]
        maps = {
            name: F.interpolate(x, size, mode='bilinear', align_corners=True)
            for name, x in maps.items()
        }
        return dict(maps, cls=self.cam_head.image_scores(maps['cam']))

    @torch.no_grad()
    def pair_maps(self, inputs: Tensor) -> PairMaps:
        """Return the affinity along which maps are refined, before its columns are normalised.

        Source: Wang et al., CVPR 2020, Eq. 5 and Fig. 5, https://arxiv.org/abs/2004.04581

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.

        Raises:
            ValueError: there is no ``pcm``.
        """
        if self.pcm is None:
            raise ValueError('SEAM: without pcm there is no affinity of pixels.')
        feats = self.extract_feat(inputs)
        grid = tuple(feats[self.cam_head.in_index].shape[2:])
        keys = self.pcm.keys(inputs, feats, grid)
        return PairMaps(dict(affinity=(keys.transpose(1, 2) @ keys).relu()), grid)

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return ``loss_cls``, ``loss_er``, ``loss_ecr`` and ``loss_rvmin`` of a batch.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        labels = image_labels(data_samples, self.num_classes, inputs.device)
        transformed = self.transformation(inputs)
        first = self._forward(inputs)
        second = self._forward(transformed.images)
        losses = {}
        for outputs in (first, second):
            loss = self.cam_head.loss_by_scores(outputs['cls'], labels)
            losses.update({k: losses.get(k, 0) + v / 2 for k, v in loss.items()})
        tags = labels[..., None, None]
        if self.loss_rvmin is not None:
            losses['loss_rvmin'] = sum(
                self.loss_rvmin(outputs['cam_rv'][:, 1:] * tags) / 2 for outputs in (first, second)
            )
        tags = F.pad(tags, (0, 0, 0, 0, 1, 0), value=1.0)  # (N, K + 1, 1, 1)
        # normalised at the size of each branch, then warped
        cam1 = transformed.warp(max_norm(first['cam'])) * tags
        cam2 = max_norm(second['cam']) * tags
        valid = transformed.valid
        if self.loss_er is not None:
            losses['loss_er'] = self.loss_er(cam1[:, 1:], cam2[:, 1:], valid)
        if self.loss_ecr is not None:
            cam_rv1 = transformed.warp(max_norm(first['cam_rv'])) * tags
            cam_rv2 = max_norm(second['cam_rv']) * tags
            losses['loss_ecr'] = self.loss_ecr(
                cam_rv1, keep_maximum(cam2.detach()), valid
            ) + self.loss_ecr(cam_rv2, keep_maximum(cam1.detach()), valid)
        return losses
