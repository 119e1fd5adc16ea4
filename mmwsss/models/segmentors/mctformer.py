"""MCTformer: one class token per class, whose attention is the map of that class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.models.backbones.token_vit import Tokens
from mmwsss.models.segmentors.weak_segmentor import WeakSegmentor
from mmwsss.models.utils import image_labels
from mmwsss.ops import min_max_norm

# each takes the class attention and the rectified patch scores
FUSIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = dict(
    attention=lambda attention, patch: attention,
    patch=lambda attention, patch: patch,
    product=torch.mul,
    sqrt=lambda attention, patch: (attention * patch).sqrt(),
)
REDUCTIONS: dict[str, Callable[[Sequence[Tensor]], Tensor]] = dict(
    sum=sum, mean=lambda attentions: sum(attentions) / len(attentions)
)


def maps_on_image(maps: Tensor, patch_size: int, size: tuple[int, int]) -> Tensor:
    """Upsample maps of patches by the patch size and fit them to the size of an image.

    Pixels beyond the last patch repeat its value; patches beyond the image are cropped.

    Args:
        patch_size: Side of a patch in pixels.
        size: Height and width of the image.

    Shapes:
        maps: ``(N, K, h, w)`` float.
        returns: ``(N, K, *size)``.

    Example:
        >>> maps_on_image(torch.tensor([[[[0., 2.]]]]), 2, (1, 5))
        tensor([[[[0.0000, 0.5000, 1.5000, 2.0000, 2.0000]]]])
    """
    if not maps.shape[1]:
        return maps.new_zeros(*maps.shape[:2], *size)
    large = F.interpolate(maps, scale_factor=patch_size, mode='bilinear')
    rest = [max(side - n, 0) for side, n in zip(size, large.shape[2:], strict=True)]
    large = F.pad(large, (0, rest[1], 0, rest[0]), mode='replicate')
    return large[..., : size[0], : size[1]]


@MODELS.register_module()
class MCTformer(WeakSegmentor):
    """Multi-class token transformer (MCTformer), V1, V2 and +.

    Source: Xu et al., CVPR 2022, https://arxiv.org/abs/2203.02891, and TPAMI 2024,
    https://arxiv.org/abs/2308.03005, and their published code.

    The ViT has one class token per foreground class. The mean of a token is the score of its class,
    and its attention to the patches is a map of the class. From V2 on, the attention is multiplied
    by the maps of a patch classifier. The attention between patches then refines the result.

    ``mode='tensor'`` returns ``class_logits`` ``(N, K)``, ``class_attention``, ``cam`` and, with
    ``refine``, ``refined_cam``, all ``(N, K, h, w)``, and ``patch_affinity`` ``(N, L, L)``; with
    ``patch_head``, ``patch_logits`` ``(N, K)`` and ``patch_cam`` ``(N, K, h, w)``, not rectified;
    with ``loss_contrast``, ``class_tokens`` ``(blocks, N, K, C)``. With ``shared_token``, there are
    no ``class_logits``, and ``class_attention`` is ``(N, 1, h, w)``.

    Args:
        backbone: Config of a :class:`TokenViT`, without ``num_class_tokens``, ``attention_blocks``
            and ``token_blocks``, which are set here.
        cam_head: Config of the :class:`TokenScoreHead`.
        patch_head: Config of the :class:`CAMHead` on the patches; None for V1. ``in_channels``,
            ``num_classes`` and ``loss_cls`` have suitable defaults.
        shared_token: Use a single class token for all classes, like an ordinary ViT; only the
            patches then score the image.
        attention_blocks: Number of last blocks whose class attention is used; all by default.
        attention_reduce: ``sum`` or ``mean`` over these blocks.
        fusion: Source of the maps: ``attention`` of the class tokens, rectified ``patch`` scores,
            their ``product``, or its square root ``sqrt``.
        refine: Whether to refine the maps by the attention between patches, summed over all blocks.
        contrast_blocks: Number of last blocks whose class tokens ``loss_contrast`` gets; all by
            default.
        loss_contrast: Config of the :class:`ContrastiveClassTokenLoss`; None or
            ``loss_weight=0`` disables it.
        stretch_maps: Resize maps to the whole image, even if pixels at the right and the bottom
            did not fill a patch, as published. By default, maps stay aligned with the patches.
        **kwargs: Arguments of :class:`WeakSegmentor`.

    Raises:
        ValueError: a number of blocks or an option is out of range, ``fusion`` or ``loss_contrast``
            needs a part that is missing, or ``stretch_maps`` is combined with sliding windows.
    """

    outputs = ('cam',)
    takes_pcm = False
    normalize_cams = staticmethod(partial(min_max_norm, eps=1e-8))

    def __init__(
        self,
        backbone: dict,
        cam_head: dict,
        *,
        patch_head: dict | None = None,
        shared_token: bool = False,
        attention_blocks: int | None = None,
        attention_reduce: str = 'sum',
        fusion: str = 'product',
        refine: bool = True,
        contrast_blocks: int | None = None,
        loss_contrast: dict | None = None,
        stretch_maps: bool = False,
        **kwargs: Any,
    ) -> None:
        layers, num_classes = backbone.get('num_layers', 12), cam_head['num_classes']
        attention_blocks = layers if attention_blocks is None else attention_blocks
        contrast_blocks = layers if contrast_blocks is None else contrast_blocks
        contrast = bool(loss_contrast) and loss_contrast.get('loss_weight') != 0
        self._check_blocks(layers, attention_blocks, contrast_blocks if contrast else 1)
        tokens = dict(
            num_class_tokens=1 if shared_token else num_classes - 1,
            attention_blocks=range(0 if refine else layers - attention_blocks, layers),
            token_blocks=range(-contrast_blocks, 0) if contrast else (),
        )
        super().__init__({**backbone, **tokens}, cam_head, **kwargs)
        self.shared_token, self.attention_blocks = shared_token, attention_blocks
        self.attention_reduce, self.fusion, self.refine = attention_reduce, fusion, refine
        self.stretch_maps = stretch_maps
        self.patch_head = self._build_patch_head(patch_head)
        self.loss_contrast = MODELS.build(loss_contrast) if contrast else None
        self._check_parts()

    @staticmethod
    def _check_blocks(layers: int, *numbers: int) -> None:
        if not all(1 <= number <= layers for number in numbers):
            raise ValueError(
                'MCTformer: attention_blocks and contrast_blocks must lie in 1 to '
                f'{layers}, the blocks of the backbone, got {" and ".join(map(str, numbers))}.'
            )

    def _build_patch_head(self, cfg: dict | None) -> Any:
        if not cfg:
            return None
        defaults = dict(
            in_channels=self.backbone.embed_dims,
            num_classes=self.num_classes,
            loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_name='loss_patch'),
        )
        return MODELS.build({**defaults, **cfg})

    def _check_parts(self) -> None:
        if self.fusion not in FUSIONS or self.attention_reduce not in REDUCTIONS:
            raise ValueError(
                f'MCTformer: fusion must be one of {(*FUSIONS,)} and attention_reduce one of '
                f'{(*REDUCTIONS,)}, got {self.fusion!r} and {self.attention_reduce!r}.'
            )
        if self.patch_head is None and self.fusion != 'attention':
            raise ValueError(
                f'MCTformer: fusion={self.fusion!r} needs a patch_head: set one, or set '
                "fusion='attention'."
            )
        if self.shared_token and (self.fusion == 'attention' or self.loss_contrast is not None):
            raise ValueError(
                'MCTformer: shared_token=True cannot distinguish classes: set fusion to another '
                "value than 'attention', and loss_contrast to None."
            )
        if self.stretch_maps and self.test_cfg.mode == 'slide':
            raise ValueError(
                "MCTformer: stretch_maps needs test_cfg.mode='whole', since windows have to lie "
                'where they were cut.'
            )

    def _scores(self, tokens: Tokens) -> dict[str, Tensor]:
        """Return the inputs of the losses: scores of classes and patches, and class tokens."""
        outputs = {}
        if not self.shared_token:
            outputs['class_logits'] = self.cam_head(tokens.class_tokens)
        if self.patch_head is not None:
            outputs['patch_cam'], outputs['patch_logits'] = self.patch_head(tokens.maps)
        if self.loss_contrast is not None:
            outputs['class_tokens'] = torch.stack(tokens.block_tokens)
        return outputs

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the raw tensors of the network by name."""
        tokens = self.backbone.encode(inputs, attention='mean')
        outputs = self._scores(tokens)
        attentions, number = tokens.attentions, self.backbone.num_class_tokens
        relation = REDUCTIONS[self.attention_reduce](
            [x[:, :number] for x in attentions[-self.attention_blocks :]]
        )
        relation = relation.float().unflatten(2, tokens.maps[-1].shape[2:])
        patch = outputs['patch_cam'].float().relu() if self.patch_head is not None else relation
        cam = FUSIONS[self.fusion](relation, patch)
        outputs.update(class_attention=relation, cam=cam)
        if self.refine:
            affinity = sum(x[:, number:] for x in attentions).float()
            outputs['patch_affinity'] = affinity
            spread = cam.flatten(2) @ affinity.transpose(1, 2)
            outputs['refined_cam'] = spread.view_as(cam)
        return outputs

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return those of ``loss_cls``, ``loss_patch`` and ``loss_contrast`` that are enabled.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        labels = image_labels(data_samples, self.num_classes, inputs.device)
        outputs, losses = self._scores(self.backbone.encode(inputs)), {}
        if not self.shared_token:
            losses['loss_cls'] = self.cam_head.loss_cls(outputs['class_logits'], labels)
        if self.patch_head is not None:
            losses.update(self.patch_head.loss_by_scores(outputs['patch_logits'], labels))
        if self.loss_contrast is not None:
            losses['loss_contrast'] = self.loss_contrast(outputs['class_tokens'], labels)
        return losses

    def predict_maps(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps of the patches, and image scores: the mean of the token and patch scores.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            returns: ``(N, K, h, w)``, and logits ``(N, K)``.
        """
        outputs = self._forward(inputs)
        scores = [outputs[name] for name in ('class_logits', 'patch_logits') if name in outputs]
        return outputs['refined_cam' if self.refine else 'cam'], sum(scores) / len(scores)

    def _input_maps(self, inputs: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return maps, at the size of the inputs unless ``stretch_maps`` is set, and scores."""
        maps, scores = self.predict_maps(inputs)
        maps = maps if classes is None else maps[:, classes]
        if not self.stretch_maps:
            maps = maps_on_image(maps, self.backbone.patch_size, tuple(inputs.shape[2:]))
        return maps, scores.float()

    def _on_original(self, maps: Tensor, meta: Mapping[str, Any]) -> Tensor:
        """Undo padding, flipping and scaling of a view; stretched maps are only resized once."""
        if self.stretch_maps:
            if any(meta.get('img_padding_size', meta.get('padding_size', ()))):
                raise ValueError(
                    f'MCTformer: stretch_maps=True, but {meta.get("img_path")} is padded: '
                    'predict images of several sizes one at a time (batch_size=1).'
                )
            # nothing to crop
            meta = {**meta, 'img_padding_size': (0,) * 4}
        return super()._on_original(maps, meta)
