"""APC: adaptive patch contrast, end to end from image-level labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.models.heads import PatchClassifierHead
from mmwsss.models.refiners import refine_scores
from mmwsss.models.segmentors.weak_segmentor import WeakSegmentor
from mmwsss.models.utils import check_label_classes, image_labels
from mmwsss.ops import pad_tags, patches_inside

from .online_labels import SHRINK, KnownImages, decoder_loss, eight_bit_images, known_images
from .patch_labels import confident_labels, tagged_patch_scores

# a probability of 1 has no logit, and what is infinite bears no interpolation
EPS = 1e-6


@MODELS.register_module()
class APC(WeakSegmentor):
    """Adaptive Patch Contrast (APC): every patch a classifier, one training, no masks.

    Source: Wu et al., 2024, https://arxiv.org/abs/2407.10649

    One pass of the encoder gives the patches' probabilities and what the decoder needs. The losses
    are weighed as their configs say (Eq. 7); what it goes on from is :class:`ViTPCM`.

    ``mode='tensor'`` gives ``patch_scores`` ``(N, K + 1, h, w)`` and ``image_scores``
    ``(N, K + 1)``, probabilities with the background first, ``patch_embed`` ``(N, L, D)``, what
    the classifier reads, for the L = h * w patches, and, with a decoder, ``seg``
    ``(N, K + 1, h, w)``.

    ``test_cfg.output`` 'seg' predicts by the decoder, 'cam' by the patch scores of the classes,
    which are the class activation maps, and 'patch' by the patch scores in which the background
    that was learned competes, see :meth:`patch_shares`; ``seg_logits`` are then their logarithms.

    Args:
        loss_pce: Config of the contrast of patches; None leaves it out.
        refiner: Config of the module that refines the scores of which pseudo masks are made
            along the colours of the image, such as ``PAR`` or ``DenseCRF``; None leaves it out.
        thresholds: Of pseudo masks, see :func:`.confident_labels`; None takes the
            largest share of every pixel and, without ``refiner``, the category of its patch.
        **kwargs: Arguments of :class:`WeakSegmentor`; ``cam_head`` is a
            :class:`PatchClassifierHead`. Where there is a ``decode_head`` its ``loss_decode``
            learns from pseudo masks, and for a ``refiner`` the preprocessor must normalise.

    Raises:
        ValueError: a part is missing or of the wrong kind, or ``thresholds`` are none.
    """

    outputs = ('cam', 'seg', 'patch')
    takes_pcm = False
    mask_outputs = ('seg', 'patch')

    def __init__(
        self,
        *,
        loss_pce: dict | None = None,
        refiner: dict | None = None,
        thresholds: Sequence[float] | None = (0.35, 0.55),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_label_classes(self, self.num_classes)
        if not isinstance(self.cam_head, PatchClassifierHead):
            raise ValueError(
                'APC: cam_head must be a PatchClassifierHead, got a '
                f'{type(self.cam_head).__name__}.'
            )
        if refiner and not hasattr(self.data_preprocessor, 'mean'):
            raise ValueError(
                'APC: refiner needs a data_preprocessor that normalises: set its mean and std.'
            )
        if thresholds is not None and (
            len(thresholds) != 2 or not 0 <= thresholds[0] <= thresholds[1] <= 1
        ):
            raise ValueError(
                'APC: thresholds must be two shares, low and high, in [0, 1], or None, got '
                f'{tuple(thresholds)}.'
            )
        self.loss_pce = MODELS.build(loss_pce) if loss_pce else None
        self.refiner = MODELS.build(refiner) if refiner else None
        self.thresholds = None if thresholds is None else tuple(thresholds)

    def _check_test_cfg(self, test_cfg: dict | None) -> ConfigDict:
        cfg = super()._check_test_cfg(test_cfg)
        if cfg.output == 'patch' and cfg.mode != 'whole':
            raise ValueError(
                f"{type(self).__name__}: test_cfg.output='patch' compares the patches of a whole "
                f"image: set mode='whole', got {cfg.mode!r}."
            )
        return cfg

    def _embed(self, feats: Sequence[Tensor]) -> Tensor:
        """Return what the classifier reads, ``(N, D, h, w)``."""
        return feats[self.cam_head.in_index]

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the raw tensors of the network by name."""
        feats = self.extract_feat(inputs)
        scores, image_scores = self.cam_head(feats)
        embed = self._embed(feats).flatten(2).transpose(1, 2)
        outputs = dict(patch_scores=scores, image_scores=image_scores, patch_embed=embed)
        if self.with_decode_head:
            outputs['seg'] = self.decode_head(feats)
        return outputs

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return ``loss_cls``, ``loss_pce`` and ``loss_seg`` of a batch, those that there are.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        tags = image_labels(data_samples, self.num_classes, inputs.device)
        feats = self.extract_feat(inputs)
        scores, image_scores = self.cam_head(feats)
        losses = self.cam_head.loss_by_scores(image_scores, tags)
        known = known_images(inputs, data_samples, tags)
        if self.loss_pce is not None:
            valid = patches_inside(known.valid, scores.shape[2:])
            losses['loss_pce'] = self.loss_pce(self._embed(feats), scores, tags, valid)
        if self.with_decode_head:
            target = self.pseudo_masks(known, scores)
            losses['loss_seg'] = decoder_loss(self.decode_head, self.decode_head(feats), target)
        return losses

    @torch.no_grad()
    def pseudo_masks(self, known: KnownImages, scores: Tensor) -> Tensor:
        """Make the pseudo masks of a batch of patch scores.

        The shares of background and tagged classes, spread over pixels patch by patch and refined.
        All this, and the decoder's loss, is at half the size of the image: a quarter of the cost,
        and still much finer than the patches that the decoder tells apart.

        Args:
            known: The images, normalised.

        Shapes:
            scores: ``(N, K + 1, h, w)`` probabilities, background first.
            returns: ``(N, H / 2, W / 2)`` uint8: 0, index of the class + 1, or 255.
        """
        half = tuple(max(1, side // SHRINK) for side in known.images.shape[2:])
        valid = patches_inside(known.valid, scores.shape[2:])
        shares = tagged_patch_scores(scores, known.classes, valid, size=half)
        if self.refiner is not None:
            preprocessor = self.data_preprocessor
            images = eight_bit_images(known.images, preprocessor.mean, preprocessor.std) / 255
            images = F.interpolate(images, half, mode='bilinear')
            shares = refine_scores(self.refiner, images, shares[:, None])[:, 0]
        valid = F.interpolate(known.valid.float(), half)
        return confident_labels(shares, known.classes, self.thresholds, valid)

    def patch_shares(self, scores: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
        """Return the shares that background and competing classes have in every patch.

        The background is the one that the classifier learned, not a constant.

        Source: the published code of ViT-PCM (Rossetti et al., ECCV 2022,
        https://arxiv.org/abs/2210.17400)

        Shapes:
            scores: ``(N, K + 1, h, w)`` probabilities, background first.
            classes: ``(N, K)`` multi-hot, those that compete.
            valid: ``(N, 1, h, w)`` bool, patches of the images.
            returns: ``(N, K + 1, h, w)`` of :func:`.tagged_patch_scores`.
        """
        places = pad_tags([image.nonzero().flatten() for image in classes])
        shares = tagged_patch_scores(scores, places, valid)
        index = F.pad(places + 1, (1, 0)).clamp(min=0)[..., None, None].expand_as(shares)
        # what stands for no class is 0 everywhere
        return torch.zeros_like(scores, dtype=shares.dtype).scatter_add_(1, index, shares)

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Return the samples with their predictions at the size of the original image.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        if self.test_cfg.output != 'patch':
            return super().predict(inputs, data_samples)
        size = tuple(inputs.shape[2:])
        samples = data_samples or [
            SegDataSample(metainfo=dict(ori_shape=size, img_shape=size)) for _ in inputs
        ]
        outputs = self._forward(inputs)
        for sample, scores in zip(samples, outputs['image_scores'], strict=True):
            sample.set_data(dict(pred_score=scores[1:]))
        classes = torch.stack([self.competing_classes(sample) for sample in samples])
        known = known_images(inputs, samples, classes)
        valid = patches_inside(known.valid, outputs['patch_scores'].shape[2:])
        shares = self.patch_shares(outputs['patch_scores'], classes, valid)
        shares = F.interpolate(shares, size, mode='bilinear', align_corners=self.align_corners)
        for sample in self.postprocess_result(shares, samples):
            shares = sample.seg_logits.data
            self.add_mask(sample, shares.clamp(min=torch.finfo(shares.dtype).tiny).log())
        return samples

    def predict_maps(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``test_cfg.output`` asks for, and the logits of the image's classes."""
        outputs = self._forward(inputs)
        logits = outputs['image_scores'][:, 1:].logit(EPS)
        if self.test_cfg.output == 'seg':
            return outputs['seg'], logits
        return outputs['patch_scores'][:, 1:], logits
