"""SemFormer: an auto-encoder that knows what classes look like guides the activation of a ViT."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.utils import to_2tuple
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.models.segmentors.weak_segmentor import WeakSegmentor
from mmwsss.models.utils import image_labels
from mmwsss.ops import clamped_cosine, min_max_norm

from .class_aware_auto_encoder import ClassAwareAutoEncoder
from .frozen_auto_encoder import FrozenAutoEncoder
from .semformer_pairs import Pairs, present_pairs, resized_valid_mask

EPS = 1e-5
LOGIT_EPS = 1e-4  # of probabilities: cosines are at most 1 - 1e-4
_resize = partial(F.interpolate, mode='bilinear', align_corners=True)


def _build_loss(cfg: dict | None) -> nn.Module | None:
    """Build a loss that counts."""
    return MODELS.build(cfg) if cfg and cfg.get('loss_weight') != 0 else None


@MODELS.register_module()
class SemFormer(WeakSegmentor):
    """Semantic Guided Activation Transformer (SemFormer), its second stage.

    Source: Chen et al., 2022, https://arxiv.org/abs/2210.14618, and its published code.

    A ViT with a token for every class makes a mask of each class. The part of the image that a
    mask shows has to look like its class and no other to the frozen auto-encoder of the first
    stage, and the part that it hides like the others and not like it. Maps are the rectified
    logits of the masks times the attention that the tokens of the classes pay to the patches
    (CRA, class relation attention).

    ``mode='tensor'`` gives ``mask_logits`` ``(N, K + 1, h, w)``, ``class_embed`` ``(N, K + 1, D)``
    and, with ``cra_blocks``, ``cra`` ``(N, K + 1, h, w)`` in [0, 1].

    Predicted ``pred_score`` are the similarities of ``class_embed`` with the semantics of the
    classes, which training copies from the auto-encoder: what was trained predicts without it.

    Args:
        backbone: Config of a :class:`TokenViT`; its tokens and attention are set here.
        embed_head: Config of the head on the class tokens; what it leaves out of ``in_channels``,
            ``num_classes`` and ``embed_channels`` are those of the backbone and of ``caae``.
        caae: Config of the auto-encoder, see :class:`FrozenAutoEncoder`.
        caae_size: Height and width of the images that the auto-encoder sees, or both.
        caae_chunk: Image parts that go through the auto-encoder at a time; all by default. The
            numbers are the same, memory is that of one chunk.
        cra_blocks: Last blocks whose attention counts; 0 leaves CRA out.
        loss_cf: Config of the :class:`PullPushLoss` on the foreground images. As with the other
            losses, None or a weight of 0 leaves it out, and what is computed for it alone.
        loss_cb: Config of the :class:`PullPushLoss` on the background images.
        loss_as: Config of the loss that suppresses activation.
        loss_ac: Config of the loss that makes the masks complement each other.
        loss_ss: Config of the :class:`SimilarityLoss` of the class tokens.
        **kwargs: Arguments of :class:`WeakSegmentor`; ``cam_head`` is a :class:`TokenMaskHead`.

    Raises:
        ValueError: the parts have other numbers of classes, there is no such block, or nothing
            that makes maps.
    """

    outputs = ('cam',)
    takes_pcm = False

    def __init__(
        self,
        backbone: dict,
        cam_head: dict,
        *,
        caae: dict,
        embed_head: dict | None = None,
        caae_size: int | tuple[int, int] = 224,
        caae_chunk: int | None = None,
        cra_blocks: int = 4,
        loss_cf: dict | None = None,
        loss_cb: dict | None = None,
        loss_as: dict | None = None,
        loss_ac: dict | None = None,
        loss_ss: dict | None = None,
        **kwargs: Any,
    ) -> None:
        layers = backbone.get('num_layers', 12)
        if not 0 <= cra_blocks <= layers:
            raise ValueError(
                f'SemFormer: cra_blocks must lie in 0 to {layers}, the blocks of the backbone, got '
                f'{cra_blocks}.'
            )
        num_classes = cam_head['num_classes']
        tokens = dict(num_class_tokens=num_classes, attention_blocks=range(-cra_blocks, 0))
        super().__init__({**backbone, **tokens}, cam_head, **kwargs)
        self.guide = FrozenAutoEncoder(caae)
        channels = self.guide.embed_channels
        self.embed_head = MODELS.build(
            dict(
                type='ClassTokenHead',
                in_channels=self.backbone.embed_dims,
                num_classes=num_classes,
                embed_channels=channels,
            )
            | (embed_head or {})
        )
        if not cra_blocks and self.cam_head.activation is None:
            raise ValueError(
                'SemFormer: maps are masks, attention or both: set cra_blocks or '
                "cam_head.activation ('relu')."
            )
        if self.guide.num_classes != num_classes:
            raise ValueError(
                f'SemFormer: cam_head and caae.embed_head must have the same num_classes, got '
                f'{num_classes} and {self.guide.num_classes}.'
            )
        self.caae_size, self.caae_chunk = to_2tuple(caae_size), caae_chunk
        self.cra_blocks = cra_blocks
        self.loss_cf, self.loss_cb = _build_loss(loss_cf), _build_loss(loss_cb)
        self.loss_as, self.loss_ac = _build_loss(loss_as), _build_loss(loss_ac)
        self.loss_ss = _build_loss(loss_ss)
        self.register_buffer('class_semantics', torch.zeros(num_classes, channels))

    def init_weights(self) -> None:
        """Initialise, and read the auto-encoder, so that what is wrong with it shows at once."""
        super().init_weights()
        semantics = self.guide.load(self.class_semantics.device).embed_head.class_semantics()
        self.class_semantics.copy_(semantics)

    def encode(self, inputs: Tensor, *, attention: str | None = None) -> tuple[dict, list[Tensor]]:
        """Return ``mask_logits`` and ``class_embed``, and the attention of the last blocks.

        Args:
            attention: As in :meth:`TokenViT.encode`.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        tokens = self.backbone.encode(inputs, attention=attention)
        outputs = dict(
            mask_logits=self.cam_head(tokens.maps).float(),
            class_embed=self.embed_head(tokens.class_tokens),
        )
        return outputs, tokens.attentions

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the raw tensors of the network by name."""
        outputs, attentions = self.encode(inputs, attention='class' if self.cra_blocks else None)
        if self.cra_blocks:
            relation = sum(x.float().mean(dim=1) for x in attentions)
            outputs['cra'] = min_max_norm(relation.unflatten(2, outputs['mask_logits'].shape[2:]))
        return outputs

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return ``loss_cf``, ``loss_cb``, ``loss_as``, ``loss_ac`` and ``loss_ss`` of a batch.

        Source: Chen et al., 2022, Eqs. 7 to 13, https://arxiv.org/abs/2210.14618

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised, 0 outside the images.
        """
        labels = image_labels(data_samples, self.num_classes, inputs.device)
        labels = F.pad(labels, (1, 0), value=1.0)
        caae = self.guide.load(inputs.device)
        outputs = self.encode(inputs)[0]
        size = tuple(inputs.shape[2:])
        valid = resized_valid_mask(data_samples, size, self.caae_size, inputs.device)
        masks = _resize(outputs['mask_logits'], self.caae_size).sigmoid() * valid
        losses = self._guidance_losses(caae, inputs, masks, present_pairs(labels, data_samples))
        if self.loss_as is not None:
            losses['loss_as'] = self.loss_as(masks)
        if self.loss_ac is not None:
            losses['loss_ac'] = self.loss_ac(masks, labels, valid)
        if self.loss_ss is not None:
            similarity = caae.embed_head.similarity(outputs['class_embed'])
            losses['loss_ss'] = self.loss_ss(similarity, labels)
        return losses

    def _guidance_losses(
        self, caae: ClassAwareAutoEncoder, inputs: Tensor, masks: Tensor, pairs: Pairs
    ) -> dict[str, Tensor]:
        """Return the losses on what the auto-encoder sees in the parts of the images."""
        if self.loss_cf is None and self.loss_cb is None:
            return {}
        shown = masks[pairs.image, pairs.classes][:, None]
        # of the foreground and of the background image: the classes to look like, and the others
        sides = dict(
            loss_cf=(self.loss_cf, shown, pairs.own, pairs.others),
            loss_cb=(self.loss_cb, 1 - shown, pairs.others, pairs.own),
        )
        sides = {name: side for name, side in sides.items() if side[0] is not None}
        images = _resize(inputs, self.caae_size)[pairs.image]
        parts = torch.cat([images * part for _, part, _, _ in sides.values()])
        embed = caae.embed(parts, chunk_size=self.caae_chunk)
        similarities = caae.embed_head.similarity(embed).chunk(len(sides))
        return {
            name: loss(similarity, pull, push, pairs.image)
            for (name, (loss, _, pull, push)), similarity in zip(
                sides.items(), similarities, strict=True
            )
        }

    def predict_maps(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return class activation maps that lie on the inputs, and image scores.

        Source: Chen et al., 2022, Eqs. 5 and 6, https://arxiv.org/abs/2210.14618

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            returns: ``(N, K, h, w)``, and logits ``(N, K)``.
        """
        outputs = self._forward(inputs)
        cam = self.cam_head.activate(outputs['mask_logits'][:, 1:])
        if self.cra_blocks:
            cam = cam * outputs['cra'][:, 1:]
        similarity = clamped_cosine(outputs['class_embed'], self.class_semantics)[:, 1:]
        height, width = inputs.shape[2:]
        padded = [side * self.backbone.patch_size for side in cam.shape[2:]]
        if padded != [height, width]:
            # the last patches reach beyond the image
            cam = F.interpolate(cam, padded, mode='bilinear', align_corners=False)
            cam = cam[..., :height, :width]
        return cam, similarity.logit(eps=LOGIT_EPS)

    def competing_classes(self, sample: SegDataSample) -> Tensor:
        """Return which classes compete for the pixels of an image, ``(K,)`` multi-hot.

        Args:
            sample: Sample with ``pred_score`` and, for ``use_image_labels``, ``gt_score``.

        Raises:
            ValueError: ``use_image_labels`` without image-level labels, or none of them and
                weights without semantics of the classes.
        """
        if not self.test_cfg.use_image_labels and not self.class_semantics.any():
            raise ValueError(
                'SemFormer: the weights hold no semantics of the classes, as converted ones do '
                'not, so classes cannot be told: use test_cfg=dict(use_image_labels=True), or '
                'weights that were trained here.'
            )
        return super().competing_classes(sample)

    @staticmethod
    def normalize_cams(cams: Tensor) -> Tensor:
        """Divide each map by its maximum, ``x / (max + 1e-5)``; one without any gives -1.

        Shapes:
            cams: ``(K, H, W)`` float, not negative.
            returns: the same shape.

        Example:
            >>> SemFormer.normalize_cams(torch.tensor([[[1., 2.]], [[0., 0.]]])).round(decimals=2)
            tensor([[[ 0.5000,  1.0000]],
            <BLANKLINE>
                    [[-1.0000, -1.0000]]])
        """
        peak = cams.amax(dim=(1, 2), keepdim=True)
        return torch.where(peak > 0, cams / (peak + EPS), -1.0)
