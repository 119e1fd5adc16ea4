"""AFA: affinity from attention, end to end from image-level labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.models.refiners import refine_scores
from mmwsss.models.segmentors.weak_segmentor import TEST_DEFAULTS, WeakSegmentor
from mmwsss.models.utils import check_label_classes, image_labels
from mmwsss.ops import (
    min_max_norm,
    pad_tags,
    pair_label_matrix,
    propagate_maps,
    tagged_scores,
)

from .afa_labels import (
    MultiScaleCAMs,
    Spreading,
    check_train_cfg,
    idle_loss,
    label_scores,
    phase_of,
    pseudo_masks,
    training_iteration,
)
from .online_labels import decoder_loss, eight_bit_images, known_images
from .pair_maps import PairMaps

MIN_SIDE = 32  # of a view: MiT reduces keys by blocks of 32 pixels
# outputs of labels, and the route of each
LABELS = dict(cam_label='cam', affinity_label='affinity')
_resize = partial(F.interpolate, mode='bilinear', align_corners=False)


@MODELS.register_module()
class AFA(WeakSegmentor):
    """Affinity from Attention (AFA): one network, one training, no masks.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664

    One pass of the encoder gives the class activation maps, the affinity of positions, read off
    its attention, and what the decoder needs.

    ``mode='tensor'`` gives ``cls`` ``(N, K)``, ``seg`` ``(N, K + 1, h, w)``, ``attn_logit`` and
    ``attn_pred``, the affinity before and after the sigmoid, ``(N, L, L)`` for the L positions of
    the last features, and ``cam`` ``(N, K, h, w)`` there, raw and without gradient.

    Training has three phases: the tags alone; pseudo masks of the class activation maps besides;
    at last those of the maps that were spread along the affinity. ``train_cfg`` holds
    ``warmup_iters`` and ``switch_iters``, the last iteration of the first and of the second phase,
    counted from 0 (None: the second never ends), ``pairs_from``, which maps' pseudo masks label
    pairs of cells in the third phase ('cam' on VOC, 'affinity' on COCO), and ``bg_scores``, low
    and high.

    ``test_cfg.output`` 'seg' predicts by the decoder, 'cam' by the class activation maps of
    ``cam_scales``, 'affinity_cam' by these, spread along the affinity of the image as it is, as
    the published code evaluates them. 'cam_label' and 'affinity_label' are the pseudo masks of
    either route after refinement, as training makes them, with one background score: nothing is
    ignored. That of spread maps is ``spread_bg_score``, that of the others ``bg_score``; both are
    constants. ``cams`` are the maps that were spread or refined.

    Args:
        affinity_head: Config of the head on the attention; its ``in_channels`` are those of the
            backbone if left out.
        cam_scales: Factors on the sides of the image for its class activation maps.
        radius: Of the square in which maps spread along affinities and cells make pairs, in cells.
        spread_exponent: Of the affinities along which maps spread, the paper's alpha.
        spread_eps: Added to the sum of these affinities.
        refiner: Config of the module that refines the scores of which pseudo masks are made along
            the colours of the image: ``PAR``, ``PAMR``, ``DenseCRF``; None leaves it out.
        loss_affinity: Config of the loss on the affinity; None leaves it out.
        loss_reg: Config of the regularised loss; None leaves it out.
        **kwargs: Arguments of :class:`WeakSegmentor`; the backbone must return attention, as
            :class:`AttentionMiT` does, there must be a ``decode_head``, whose ``loss_decode``
            learns from pseudo masks, and the preprocessor must normalise.

    Raises:
        ValueError: a part is missing or of the wrong kind, a scale is not positive, or
            ``train_cfg`` or ``test_cfg`` asks for what is not there.
    """

    outputs = ('cam', 'seg', 'affinity_cam', *LABELS)
    takes_pcm = False
    test_defaults = {**TEST_DEFAULTS, 'spread_bg_score': 0.35}

    def __init__(
        self,
        *,
        affinity_head: dict,
        cam_scales: Sequence[float] = (1.0, 0.5, 1.5),
        radius: int = 8,
        spread_exponent: float = 2.0,
        spread_eps: float = 0.1,
        refiner: dict | None = None,
        loss_affinity: dict | None = None,
        loss_reg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._check_parts()
        check_label_classes(self, self.num_classes)
        if not cam_scales or min(cam_scales) <= 0:
            raise ValueError(f'AFA: cam_scales must be positive, got {tuple(cam_scales)}.')
        if radius < 0:
            raise ValueError(f'AFA: radius must not be negative, got {radius}.')
        if spread_exponent <= 0 or spread_eps < 0:
            raise ValueError(
                'AFA: spread_exponent must be positive and spread_eps not negative, got '
                f'{spread_exponent} and {spread_eps}.'
            )
        self.train_cfg = check_train_cfg(self.train_cfg)
        in_channels = self.backbone.attention_maps
        self.affinity_head = MODELS.build({'in_channels': in_channels, **affinity_head})
        # the maps themselves are many times as large as all that is made of them
        parts = (self.backbone, 'gives_factors'), (self.affinity_head, 'reads_factors')
        factors = all(getattr(part, able, False) for part, able in parts)
        self.return_attention = 'factors' if factors else True
        self.cam_scales = tuple(cam_scales)
        self.radius = radius
        self.spread_exponent, self.spread_eps = spread_exponent, spread_eps
        self.refiner = MODELS.build(refiner) if refiner else None
        self.loss_affinity = MODELS.build(loss_affinity) if loss_affinity else None
        self.loss_reg = MODELS.build(loss_reg) if loss_reg else None

    def _check_parts(self) -> None:
        if not getattr(self.backbone, 'attention_maps', 0):
            raise ValueError(
                'AFA: backbone must return attention, as AttentionMiT with attention_blocks does, '
                f'got {type(self.backbone).__name__}.'
            )
        if not self.with_decode_head:
            raise ValueError('AFA: needs a decode_head, such as LinearSegformerHead.')
        if self.cam_head.with_background:
            raise ValueError('AFA: cam_head must have with_background=False.')
        if not hasattr(self.data_preprocessor, 'mean'):
            raise ValueError('AFA: data_preprocessor must normalise: set its mean and std.')
        cfg = self.test_cfg
        constant = not isinstance(cfg.bg_score, dict)
        if cfg.output not in super().outputs and not (cfg.mode == 'whole' and constant):
            raise ValueError(
                f"AFA: test_cfg.output={cfg.output!r} needs mode='whole' and a constant bg_score, "
                f'got {cfg.mode!r} and {cfg.bg_score}.'
            )

    @property
    def spreading(self) -> Spreading:
        """How maps spread along the affinity."""
        return Spreading(self.radius, self.spread_exponent, self.spread_eps)

    @property
    def refine(self) -> partial | None:
        """The refinement of scores, see :func:`~mmwsss.models.refiners.refine_scores`."""
        return None if self.refiner is None else partial(refine_scores, self.refiner)

    def encode(self, inputs: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return features for the decoder and all tensors of :meth:`forward` but ``seg``.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        feats, attentions = self.backbone(inputs, return_attention=self.return_attention)
        if self.with_neck:
            feats = self.neck(feats)
        cam, scores = self.cam_head(feats)
        logit = self.affinity_head(attentions)
        return feats, dict(
            cls=scores, attn_logit=logit, attn_pred=logit.sigmoid(), cam=cam.detach()
        )

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the raw tensors of the network by name."""
        feats, outputs = self.encode(inputs)
        return dict(outputs, seg=self.decode_head(feats))

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return ``loss_cls``, ``loss_affinity``, ``loss_seg`` and ``loss_reg`` of a batch.

        What does not act is 0; neither labels are made nor the decoder is run for it.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        tags = image_labels(data_samples, self.num_classes, inputs.device)
        phase = phase_of(training_iteration(), self.train_cfg)
        if phase.segmentation is None:
            scores = self.cam_head(self.extract_feat(inputs))[1]
            return {**self.cam_head.loss_by_scores(scores, tags), **self._idle_losses(scores)}
        feats, outputs = self.encode(inputs)
        losses = self.cam_head.loss_by_scores(outputs['cls'], tags)
        losses.update(self._idle_losses(outputs['cls']))
        images = eight_bit_images(inputs, self.data_preprocessor.mean, self.data_preprocessor.std)
        known = known_images(images, data_samples, tags)
        routes = {phase.segmentation}
        if self.loss_affinity is not None:
            routes.add(phase.pairs)
        found = self.multi_scale_cams(inputs, outputs)
        masks = pseudo_masks(
            known,
            found,
            routes,
            self.refine,
            spreading=self.spreading,
            bg_scores=self.train_cfg.bg_scores,
        )
        if self.loss_affinity is not None:
            grid = tuple(outputs['cam'].shape[2:])
            pairs = pair_label_matrix(masks[phase.pairs], grid, self.radius)
            losses['loss_affinity'] = self.loss_affinity(outputs['attn_pred'], pairs)
        logits, target = self.decode_head(feats), masks[phase.segmentation]
        losses['loss_seg'] = decoder_loss(self.decode_head, logits, target)
        if self.loss_reg is not None:
            losses['loss_reg'] = self.loss_reg(logits, images, target, known.valid)
        return losses

    def _idle_losses(self, like: Tensor) -> dict[str, Tensor]:
        """Return the losses beside that of the tags, all 0."""
        parts = dict(loss_affinity=self.affinity_head, loss_seg=self.decode_head)
        if self.loss_reg is not None:
            parts['loss_reg'] = self.decode_head
        return {name: idle_loss(part, like) for name, part in parts.items()}

    @torch.no_grad()
    def multi_scale_cams(
        self, inputs: Tensor, outputs: Mapping[str, Tensor] | None = None
    ) -> MultiScaleCAMs:
        """Return class activation maps of ``cam_scales`` and the affinity of the largest.

        At each scale the larger activation of image and mirror image counts, rectified. The
        decoder is not run. Modules stay in their mode: in training, drop path is active.

        Args:
            outputs: What :meth:`forward` has given for the same inputs, which spares a pass of
                the encoder where 1 is among the scales.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        size, largest = inputs.shape[2:], max(self.cam_scales)
        cams, best = 0, {}
        for scale in self.cam_scales:
            x, known = inputs, outputs
            if scale != 1:
                view = [max(int(side * scale), MIN_SIDE) for side in size]
                x, known = _resize(inputs, view), None
            if scale == largest:
                known = best = known or self.encode(x)[1]
            cams = cams + self._cam_of_pair(x, size, known['cam'] if known else None)
        return MultiScaleCAMs(cams, best['attn_pred'].detach(), tuple(best['cam'].shape[2:]))

    def _cam_of_pair(self, x: Tensor, size: torch.Size, cam: Tensor | None) -> Tensor:
        """Return the larger activation of image and mirror image, rectified, at a size.

        Args:
            cam: That of the image, where it is known.
        """
        views = [x, x.flip(3)] if cam is None else [x.flip(3)]
        found = self.cam_head(self.extract_feat(torch.cat(views)))[0].chunk(len(views))
        cam, mirrored = found if cam is None else (cam, *found)
        cam, mirrored = _resize(cam.float(), size), _resize(mirrored.float(), size)
        return torch.maximum(cam, mirrored.flip(3)).relu_()

    def predict_maps(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``test_cfg.output`` asks for, and image scores."""
        if self.test_cfg.output == 'seg':
            feats = self.extract_feat(inputs)
            return self.decode_head(feats), self.cam_head(feats)[1]
        outputs = self.encode(inputs)[1]
        return self.multi_scale_cams(inputs, outputs)[0], outputs['cls']

    def spread_cams(
        self, cams: Tensor, affinity: Tensor, grid: tuple[int, int], tags: Tensor
    ) -> Tensor:
        """Spread background score and maps of the tagged classes along the affinity.

        The background score is ``test_cfg.spread_bg_score``.

        Args:
            grid: Height and width of the affinity's grid.

        Shapes:
            cams: ``(N, K, H, W)`` float in [0, 1].
            affinity: ``(N, h * w, h * w)`` float in [0, 1].
            tags: ``(N, K)`` multi-hot.
            returns: ``(N, K + 1, h, w)``; 0 for classes without tag.
        """
        classes = pad_tags([tag.nonzero().flatten() for tag in tags])
        scores = tagged_scores(cams, classes, [self.test_cfg.spread_bg_score], grid)[:, 0]
        spread = propagate_maps(scores, affinity, **self.spreading._asdict())
        return self._at_classes(spread, classes)

    @torch.no_grad()
    def pair_maps(self, inputs: Tensor) -> PairMaps:
        """Return the mean attention of all heads and the affinity made of it.

        A row of the attention sums to 1: how much a position asks of each other one.

        Source: Ru et al., CVPR 2022, Figs. 2 and 4, https://arxiv.org/abs/2203.02664

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        feats, attentions = self.backbone(inputs, return_attention=True)
        heads = sum(x.shape[1] for x in attentions)
        attention = sum(
            (x * (feats[-1].shape[1] / x.shape[1]) ** -0.5).softmax(dim=3).sum(dim=1)
            for x in attentions
        )
        affinity = self.affinity_head(attentions).sigmoid()
        return PairMaps(
            dict(attention=attention / heads, affinity=affinity), tuple(feats[-1].shape[2:])
        )

    def _at_classes(self, maps: Tensor, classes: Tensor) -> Tensor:
        """Put maps of background and tagged classes into all ``(N, K + 1, h, w)``."""
        # places of no class hold 0 and are added to the background
        index = F.pad(classes + 1, (1, 0))[..., None, None].expand_as(maps)
        full = maps.new_zeros(len(maps), self.num_classes, *maps.shape[2:])
        return full.scatter_add_(1, index, maps)

    def label_maps(self, inputs: Tensor, found: MultiScaleCAMs, tags: Tensor) -> Tensor:
        """Return the scores of which ``test_cfg.output`` makes its pseudo masks.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            tags: ``(N, K)`` multi-hot.
            returns: ``(N, K + 1, H, W)``; 0 for classes without tag.
        """
        route, cfg = LABELS[self.test_cfg.output], self.test_cfg
        preprocessor = self.data_preprocessor
        images = eight_bit_images(inputs, preprocessor.mean, preprocessor.std)
        known = known_images(images, [SegDataSample() for _ in tags], tags)
        bg_score = cfg.bg_score if route == 'cam' else cfg.spread_bg_score
        settings = dict(spreading=self.spreading, bg_scores=[bg_score])
        scores = label_scores(known, found, route, self.refine, **settings)
        return self._at_classes(scores[:, 0], known.classes)

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Return the samples with their predictions at the size of the original image.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        if self.test_cfg.output in super().outputs:
            return super().predict(inputs, data_samples)
        size = tuple(inputs.shape[2:])
        if data_samples is None:
            data_samples = [SegDataSample(metainfo=dict(ori_shape=size)) for _ in inputs]
        outputs = self.encode(inputs)[1]
        for sample, scores in zip(data_samples, outputs['cls'].float().sigmoid(), strict=True):
            sample.set_data(dict(pred_score=scores))
        tags = torch.stack([self.competing_classes(sample) for sample in data_samples])
        found = self.multi_scale_cams(inputs, outputs)
        if self.test_cfg.output == 'affinity_cam':
            # at the scale of the image and not at the largest, as the published code evaluates
            affinity, grid = outputs['attn_pred'], tuple(outputs['cam'].shape[2:])
            maps = _resize(self.spread_cams(min_max_norm(found.cams), affinity, grid, tags), size)
        else:
            maps = self.label_maps(inputs, found, tags)
        for sample in self.postprocess_result(maps, data_samples):
            sample.set_data(dict(cams=PixelData(data=sample.seg_logits.data[1:])))
        return data_samples
