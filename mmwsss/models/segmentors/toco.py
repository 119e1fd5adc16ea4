"""ToCo: contrast of patch tokens and class tokens, end to end from image-level labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.models.heads import CAMHead, MeanTeacher
from mmwsss.models.refiners import refine_scores
from mmwsss.models.segmentors.weak_segmentor import TEST_DEFAULTS, WeakSegmentor
from mmwsss.models.utils import check_label_classes, image_labels
from mmwsss.ops import (
    choose_local_crops,
    cut_local_crops,
    min_max_norm,
    positive_views,
    tagged_labels,
)

from .afa_routes import cam_route_scores
from .online_labels import (
    KnownImages,
    decoder_loss,
    eight_bit_images,
    idle_loss,
    known_images,
    mirrored_maximum,
    packed_views,
    training_iteration,
)
from .toco_labels import (
    TaggedCAMs,
    check_train_cfg,
    pair_labels_of_cells,
    phase_of,
    pick_tagged,
    regions_of,
    tag_places,
)

CAMS = ('cam', 'aux_cam')
_resize = partial(F.interpolate, mode='bilinear', align_corners=False)


@MODELS.register_module()
class ToCo(WeakSegmentor):
    """Token Contrast (ToCo): end-to-end segmentation with contrasted patch and class tokens.

    Source: Ru et al., CVPR 2023, https://arxiv.org/abs/2303.01267

    Patch tokens of the last block are contrasted using labels from the class activation maps of an
    earlier block; class tokens of two views of the image are contrasted with those of small crops.

    ``mode='tensor'`` returns ``cls`` and ``cls_aux`` ``(N, K)``, ``seg`` ``(N, K + 1, h, w)``,
    ``cam`` and ``cam_aux`` ``(N, K, h, w)``, raw and detached, ``feat`` and ``feat_aux``
    ``(N, C, h, w)``, the inputs of the two heads, ``class_token`` ``(N, C)``, and ``proj`` and
    ``proj_teacher`` ``(N, D)``, its projections.

    ``train_cfg`` holds ``warmup_iters``, the last iteration without pseudo masks,
    ``switch_iters``, the last one without contrast, up to which pseudo masks are made from the
    auxiliary maps (None: always), and ``bg_scores``, low and high. Iterations count from 0.

    ``test_cfg.output='seg'`` predicts with the decoder, ``'cam'`` with the class activation maps of
    ``cam_scales``; ``test_cfg.cam_from='aux_cam'`` selects those of the auxiliary head.

    Samples may have ``second_view`` and ``local_view`` of :class:`AddView`; without them, the image
    itself is used.

    Args:
        contrast_head: Config of the :class:`MeanTeacher` on the class token.
        cam_scales: Scales of the image for its class activation maps.
        num_crops: Number of local crops per image; 0 contrasts only the two views.
        crop_size: Side of a local crop in pixels.
        refiner: Config of the image refiner of the scores from which pseudo masks are made:
            ``PAR``, ``PAMR`` or ``DenseCRF``; None disables it.
        loss_ptc: Config of the loss on patch tokens; None disables it.
        loss_ctc: Config of the loss on class tokens; None disables it.
        loss_reg: Config of the regularised loss; None disables it.
        **kwargs: Arguments of :class:`WeakSegmentor`. The backbone must be a :class:`TokenViT` with
            one class token, ``auxiliary_head`` a :class:`CAMHead` on an earlier block or None (use
            only maps of the last block); ``decode_head`` is required, and the preprocessor must
            normalise.

    Raises:
        ValueError: a part is missing or has the wrong type, a scale or number is out of range, or
            ``train_cfg`` or ``test_cfg`` is invalid.
    """

    takes_pcm = False
    test_defaults = {**TEST_DEFAULTS, 'cam_from': 'cam'}

    def __init__(
        self,
        *,
        contrast_head: dict,
        cam_scales: Sequence[float] = (1.0, 0.5, 1.5),
        num_crops: int = 8,
        crop_size: int = 96,
        refiner: dict | None = None,
        loss_ptc: dict | None = None,
        loss_ctc: dict | None = None,
        loss_reg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._check_parts()
        check_label_classes(self, self.num_classes)
        if not cam_scales or min(cam_scales) <= 0:
            raise ValueError(f'ToCo: cam_scales must be positive, got {tuple(cam_scales)}.')
        if num_crops < 0 or crop_size < 1:
            raise ValueError(
                'ToCo: num_crops must not be negative and crop_size at least 1, got '
                f'{num_crops} and {crop_size}.'
            )
        self.train_cfg = check_train_cfg(self.train_cfg)
        self.contrast_head = MODELS.build(contrast_head)
        if not isinstance(self.contrast_head, MeanTeacher):
            raise ValueError(
                'ToCo: contrast_head must be a MeanTeacher, got '
                f'{type(self.contrast_head).__name__}.'
            )
        self.cam_scales = tuple(cam_scales)
        self.num_crops, self.crop_size = num_crops, crop_size
        self.refiner = MODELS.build(refiner) if refiner else None
        self.loss_ptc = MODELS.build(loss_ptc) if loss_ptc else None
        self.loss_ctc = MODELS.build(loss_ctc) if loss_ctc else None
        self.loss_reg = MODELS.build(loss_reg) if loss_reg else None

    def _check_parts(self) -> None:
        if getattr(self.backbone, 'num_class_tokens', 0) != 1:
            raise ValueError(
                'ToCo: backbone must have one class token, as TokenViT with num_class_tokens=1, '
                f'got {type(self.backbone).__name__}.'
            )
        if not self.with_decode_head:
            raise ValueError('ToCo: needs a decode_head, such as DilatedConvHead.')
        heads = self.class_heads
        if not all(isinstance(head, CAMHead) and not head.with_background for head in heads):
            raise ValueError(
                'ToCo: cam_head and auxiliary_head must each be a CAMHead with '
                'with_background=False.'
            )
        if self.with_auxiliary_head:
            self._check_auxiliary_head(*heads)
        if not hasattr(self.data_preprocessor, 'mean'):
            raise ValueError('ToCo: data_preprocessor must normalise: set its mean and std.')
        if self.test_cfg.cam_from not in CAMS:
            raise ValueError(
                f'ToCo: test_cfg.cam_from must be one of {CAMS}, got {self.test_cfg.cam_from!r}.'
            )

    def _check_auxiliary_head(self, main: CAMHead, auxiliary: CAMHead) -> None:
        """Check that the auxiliary head adds its own layer and loss to those of ``cam_head``."""
        maps = range(len(self.backbone.out_indices))
        main_in, auxiliary_in = main.in_index, auxiliary.in_index
        places = [maps[i] if -len(maps) <= i < len(maps) else None for i in (main_in, auxiliary_in)]
        if None in places or places[0] == places[1]:
            raise ValueError(
                'ToCo: cam_head and auxiliary_head must take two different maps of the backbone, '
                f'which returns {len(maps)} (out_indices), got in_index={main_in} and '
                f'{auxiliary_in}: add the auxiliary block to backbone.out_indices, or set '
                'auxiliary_head=None.'
            )
        if main.num_classes != auxiliary.num_classes:
            raise ValueError(
                'ToCo: cam_head and auxiliary_head must have the same num_classes, got '
                f'{main.num_classes} and {auxiliary.num_classes}.'
            )
        name = getattr(auxiliary.loss_cls, 'loss_name', 'loss_cls')
        if name != 'loss_cls_aux':
            raise ValueError(
                f"ToCo: auxiliary_head.loss_cls must have loss_name='loss_cls_aux', got {name!r}: "
                'its loss would replace that of cam_head.'
            )

    @property
    def class_heads(self) -> list[CAMHead]:
        """The heads of ``cam`` and ``aux_cam``; the same head if there is no auxiliary head."""
        return [self.cam_head, self.auxiliary_head if self.with_auxiliary_head else self.cam_head]

    def encode(self, inputs: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Return the features for the decoder, and the outputs of the class heads by name.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        tokens = self.backbone.encode(inputs)
        feats = tokens.maps
        cam, scores = self.cam_head(feats)
        outputs = dict(cls=scores, cam=cam.detach(), feat=feats[self.cam_head.in_index])
        if self.with_auxiliary_head:
            cam, scores = self.auxiliary_head(feats)
            outputs.update(cls_aux=scores, cam_aux=cam.detach())
            outputs['feat_aux'] = feats[self.auxiliary_head.in_index]
        return feats, dict(outputs, class_token=tokens.class_tokens[:, 0])

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the raw tensors of the network by name."""
        feats, outputs = self.encode(inputs)
        token = outputs['class_token']
        outputs.update(proj=self.contrast_head(token), proj_teacher=self.contrast_head.teach(token))
        return dict(outputs, seg=self.decode_head(feats))

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return the losses of a batch.

        These are ``loss_cls``, ``loss_seg``, ``loss_ctc`` and, if enabled, ``loss_cls_aux``,
        ``loss_ptc`` and ``loss_reg``. A loss that is inactive in the current phase is 0, and
        neither its labels nor its heads are computed. The teacher is updated first.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        self.contrast_head.update()
        tags = image_labels(data_samples, self.num_classes, inputs.device)
        phase = phase_of(training_iteration(), self.train_cfg)
        feats, outputs = self.encode(inputs)
        losses = self.cam_head.loss_by_scores(outputs['cls'], tags)
        if self.with_auxiliary_head:
            losses.update(self.auxiliary_head.loss_by_scores(outputs['cls_aux'], tags))
        losses.update(self._idle_losses(outputs['cls']))
        contrasts = phase.contrast and (self.loss_ptc or self.loss_ctc)
        if not contrasts and phase.masks is None:
            return losses
        preprocessor = self.data_preprocessor
        images = eight_bit_images(inputs, preprocessor.mean, preprocessor.std)
        known = known_images(images, data_samples, tags)
        found = self.tagged_cams(inputs, outputs, known.classes)
        if contrasts:
            losses.update(self._contrast_losses(inputs, data_samples, outputs, found, known))
        if phase.masks is not None:
            target = self.pseudo_masks(known, getattr(found, phase.masks), found.places)
            logits = self.decode_head(feats)
            losses['loss_seg'] = decoder_loss(self.decode_head, logits, target)
            if self.loss_reg is not None:
                # not truncated to 8 bits, as published
                colors = inputs.float() * preprocessor.std + preprocessor.mean
                losses['loss_reg'] = self.loss_reg(logits, colors, target, known.valid)
        return losses

    def _idle_losses(self, like: Tensor) -> dict[str, Tensor]:
        """Return zeros for all losses except those on the tags."""
        losses = dict(loss_seg=idle_loss(self.decode_head, like))
        if self.loss_ptc is not None:
            losses['loss_ptc'] = like.new_zeros(())
        if self.loss_reg is not None:
            losses['loss_reg'] = like.new_zeros(())
        # also without loss_ctc, so that DDP finds a gradient for every parameter
        losses['loss_ctc'] = idle_loss(self.contrast_head.student, like)
        return losses

    def _contrast_losses(
        self,
        inputs: Tensor,
        data_samples: list[SegDataSample],
        outputs: Mapping[str, Tensor],
        found: TaggedCAMs,
        known: KnownImages,
    ) -> dict[str, Tensor]:
        """Return the losses on patch tokens and class tokens."""
        losses = {}
        if self.loss_ptc is not None:
            feat = outputs['feat']
            grid = tuple(feat.shape[2:])
            pairs = pair_labels_of_cells(found, known.valid, grid, self.train_cfg)
            losses['loss_ptc'] = self.loss_ptc(feat, pairs)
        if self.loss_ctc is not None:
            tokens, positive = self._view_tokens(inputs, data_samples, outputs, found)
            teacher = self.contrast_head.teach(tokens[:2].detach())
            losses['loss_ctc'] = self.loss_ctc(self.contrast_head(tokens), teacher, positive)
        return losses

    def _view_tokens(
        self,
        inputs: Tensor,
        data_samples: list[SegDataSample],
        outputs: Mapping[str, Tensor],
        found: TaggedCAMs,
    ) -> tuple[Tensor, Tensor]:
        """Return the class tokens ``(2 + M, N, C)`` of all views, and which views are positive."""
        views = partial(packed_views, self.data_preprocessor, inputs, data_samples)
        second = self.backbone.encode(views('second_view', moved=True)).class_tokens
        tokens = [outputs['class_token'][None], second.transpose(0, 1)]
        ratios = inputs.new_zeros(len(inputs), 0)
        if self.num_crops:
            regions = regions_of(found, self.train_cfg)
            chosen = choose_local_crops(regions, self.crop_size, self.num_crops)
            crops = cut_local_crops(views('local_view'), chosen.positions, self.crop_size)
            local = self.backbone.encode(crops).class_tokens[:, 0]
            tokens.append(local.unflatten(0, (self.num_crops, -1)))
            ratios = chosen.ratios
        return torch.cat(tokens), positive_views(ratios)

    @torch.no_grad()
    def pseudo_masks(self, known: KnownImages, cams: Tensor, places: Tensor) -> Tensor:
        """Make the pseudo masks of a batch.

        Shapes:
            cams: ``(N, S, H, W)`` float in [0, 1], maps of the tagged classes.
            places: ``(N, S)`` int64 of :func:`.tag_places`.
            returns: ``(N, H, W)`` uint8: 0, index of the class + 1, or 255.
        """
        refine = None if self.refiner is None else partial(refine_scores, self.refiner)
        scores = cam_route_scores(
            known.images / 255, cams, places, refine, bg_scores=self.train_cfg.bg_scores
        )
        return tagged_labels(scores, known.classes, known.valid)

    def _class_maps(self, classes: Tensor | None, x: Tensor) -> Tensor:
        """Return raw maps ``(N, 2 * S, h, w)`` of the given classes from both heads."""
        feats = self.backbone(x)
        return self._join([head(feats)[0] for head in self.class_heads], classes)

    @staticmethod
    def _join(maps: Sequence[Tensor], classes: Tensor | None) -> Tensor:
        maps = torch.stack(maps, dim=1)  # (N, 2, K, h, w)
        if classes is not None:
            maps = pick_tagged(maps, classes.repeat(len(maps) // len(classes), 1))
        return maps.flatten(1, 2)

    @torch.no_grad()
    def multi_scale_cams(
        self,
        inputs: Tensor,
        outputs: Mapping[str, Tensor] | None = None,
        classes: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return class activation maps of ``cam_scales``, of the last and the auxiliary head.

        Takes the maximum over the image and its mirror image at each scale, rectifies it and sums
        over scales. Does not run the decoder.

        Args:
            outputs: Result of :meth:`encode` for the same inputs, if available; saves a forward
                pass at scale 1.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`; None for all classes.
            returns: ``(N, S, H, W)`` float each, for :func:`~mmwsss.ops.min_max_norm`.
        """
        size, maps_of, cams = inputs.shape[2:], partial(self._class_maps, classes), 0
        for scale in self.cam_scales:
            x, known = inputs, None
            if scale != 1:
                least = self.backbone.patch_size
                x = _resize(inputs, [max(int(side * scale), least) for side in size])
            elif outputs is not None:
                maps = outputs['cam'], outputs.get('cam_aux', outputs['cam'])
                known = self._join(maps, classes)
            cams = cams + mirrored_maximum(maps_of, x, size, known)
        return cams.chunk(2, dim=1)

    @torch.no_grad()
    def tagged_cams(
        self, inputs: Tensor, outputs: Mapping[str, Tensor], classes: Tensor
    ) -> TaggedCAMs:
        """Return the normalised maps of the tagged classes from both heads.

        Maps of other classes are not upsampled, because no label depends on them.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        """
        cams = self.multi_scale_cams(inputs, outputs, classes)
        return TaggedCAMs(*(min_max_norm(maps) for maps in cams), tag_places(classes))

    def predict_maps(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps selected by ``test_cfg.output``, and image scores."""
        feats, outputs = self.encode(inputs)
        if self.test_cfg.output == 'seg':
            return self.decode_head(feats), outputs['cls']
        cams = self.multi_scale_cams(inputs, outputs)
        return cams[CAMS.index(self.test_cfg.cam_from)], outputs['cls']
