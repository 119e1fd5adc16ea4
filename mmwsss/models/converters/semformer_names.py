"""Names of SemFormer's published weights and what they are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmwsss.models.segmentors import ClassAwareAutoEncoder, SemFormer

from .vit_names import (
    num_heads,
    published_to_token_block,
    published_to_token_vit,
    vit_settings,
)

_ENCODER = 'encoder.vit_backbone.'
_CAAE = (
    (re.compile(r'convert\.0\.(weight)'), r'embed_head.embed.\1'),
    (re.compile(r'crs\.0\.(weight)'), r'embed_head.semantics.\1'),
    (re.compile(r're_convert\.([01]\.\w+)'), r'decoder.reduce.\1'),
    (re.compile(r'mlp\.(\w+)'), r'decoder.project.\1'),
    (re.compile(r'decoder\.norm\.(\w+)'), r'decoder.norm.\1'),
    (re.compile(r'decoder\.mlp\.(\w+)'), r'decoder.paint.\1'),
)
# of the distilled DeiT, without part in anything
_UNUSED_IN_CAAE = re.compile(r'encoder\.vit_backbone\.model\.(?:dist_token$|head_dist\.|head\.)')

SEMANTICS = 'class_semantics'
_SEGMENTOR = 'segmentor.'
_VIT = f'{_SEGMENTOR}backbone.model.'
_SEMFORMER = (
    (re.compile(r'segmentor\.cls_token'), 'backbone.class_tokens'),
    (re.compile(r'segmentor\.cls_posembed'), 'backbone.class_pos_embed'),
    (re.compile(r'segmentor\.backbone\.grid_posembed'), 'backbone.pos_embed'),
    (re.compile(r'segmentor\.cls_head\.(\w+)'), r'embed_head.\1'),
    (re.compile(r'segmentor\.seg_head\.1\.(\w+)'), r'cam_head.classify.\1'),
)
# the ViT's own tokens and classifier, and the auto-encoder, without which checkpoints are saved
_UNUSED_IN_SEMFORMER = re.compile(
    r'segmentor\.backbone\.model\.(?:cls_token$|pos_embed$|head\.)|ae\.'
)


def is_unused_in_caae(name: str) -> bool:
    """Tell whether a published weight of the auto-encoder takes no part in it.

    Args:
        name: Name in the published code.
    """
    return _UNUSED_IN_CAAE.match(name) is not None


def published_to_caae(name: str) -> str:
    """Return the name of a published weight in :class:`ClassAwareAutoEncoder`.

    Args:
        name: Name in the published code.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_caae('crs.0.weight'), published_to_caae('decoder.blocks.0.norm1.bias')
        ('embed_head.semantics.weight', 'decoder.layers.0.norm1.bias')
    """
    if name == f'{_ENCODER}grid_posembed':
        return 'backbone.pos_embed'
    if name.startswith(f'{_ENCODER}model.'):
        return f'backbone.{published_to_token_vit(name.removeprefix(f"{_ENCODER}model."))}'
    for pattern, ours in _CAAE:
        if match := pattern.fullmatch(name):
            return match.expand(ours)
    if not name.startswith('decoder.'):
        raise KeyError(name)
    return f'decoder.{published_to_token_block(name.removeprefix("decoder."))}'


def caae_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read off weights which auto-encoder they are of.

    Args:
        weights: Weights under their published names.

    Returns:
        ``backbone``, ``embed_head`` and ``decoder`` of :class:`ClassAwareAutoEncoder`.
    """
    encoder = {
        name.removeprefix(_ENCODER).removeprefix('model.').replace('grid_posembed', 'pos_embed'): x
        for name, x in weights.items()
        if name.startswith(_ENCODER)
    }
    backbone = vit_settings(encoder)
    # what is missing or of another kind is refused later, by its name
    sizes = {name: tuple(x.shape) for name, x in weights.items() if x.ndim == 2}
    num_classes, channels = sizes.get('crs.0.weight', (21, 256))
    width, hidden = sizes.get('mlp.weight', (backbone['embed_dims'],) * 2)
    blocks = {name.split('.')[2] for name in weights if name.startswith('decoder.blocks.')}
    return dict(
        backbone=backbone,
        embed_head=dict(
            in_channels=backbone['embed_dims'], num_classes=num_classes, embed_channels=channels
        ),
        decoder=dict(
            embed_dims=width,
            hidden_channels=hidden,
            num_layers=len(blocks),
            num_heads=num_heads(width),
            patch_size=backbone['patch_size'],
        ),
    )


def caae_shapes(settings: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of the auto-encoder.

    Args:
        settings: Of :func:`caae_settings`.
    """
    types = dict(backbone='TokenViT', embed_head='ClassEmbedHead', decoder='PatchDecodeHead')
    parts = {part: dict(type=kind, **settings[part]) for part, kind in types.items()}
    with torch.device('meta'):
        network = ClassAwareAutoEncoder(**parts)
    return {name: value.shape for name, value in network.state_dict().items()}


def is_unused_in_semformer(name: str) -> bool:
    """Tell whether a published weight of the segmentation network takes no part in it.

    Args:
        name: Name in the published code.
    """
    return _UNUSED_IN_SEMFORMER.match(name) is not None


def published_to_semformer(name: str) -> str:
    """Return the name of a published weight in :class:`SemFormer`.

    Args:
        name: Name in the published code.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_semformer('segmentor.backbone.model.norm.bias')
        'backbone.norm.bias'
        >>> published_to_semformer('segmentor.seg_head.1.bias')
        'cam_head.classify.bias'
    """
    for pattern, ours in _SEMFORMER:
        if match := pattern.fullmatch(name):
            return match.expand(ours)
    if not name.startswith(_VIT):
        raise KeyError(name)
    return f'backbone.{published_to_token_vit(name.removeprefix(_VIT))}'


def semformer_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read off weights which segmentation network they are of.

    Args:
        weights: Weights under their published names.

    Returns:
        ``backbone``, ``cam_head`` and ``caae`` of :class:`SemFormer`.
    """
    vit = {
        name.removeprefix(_VIT).replace(f'{_SEGMENTOR}backbone.grid_posembed', 'pos_embed'): x
        for name, x in weights.items()
    }
    backbone = vit_settings(vit)
    del backbone['num_class_tokens']
    head = weights.get(f'{_SEGMENTOR}cls_head.weight')
    # what is missing or of another kind is refused later, by its name
    num_classes, _, channels = (21, 384, 256) if head is None or head.ndim != 3 else head.shape
    return dict(
        backbone=backbone,
        cam_head=dict(in_channels=backbone['embed_dims'], num_classes=num_classes),
        caae=dict(backbone={}, embed_head=dict(num_classes=num_classes, embed_channels=channels)),
    )


def semformer_shapes(settings: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Return names and shapes of the weights that published segmentation networks have.

    Args:
        settings: Of :func:`semformer_settings`.
    """
    types = dict(backbone='TokenViT', cam_head='TokenMaskHead', caae='ClassAwareAutoEncoder')
    parts = {part: dict(type=kind, **settings[part]) for part, kind in types.items()}
    with torch.device('meta'):
        network = SemFormer(**parts, cra_blocks=0)
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    return {name: shape for name, shape in shapes.items() if name != SEMANTICS}


def published_semantics(
    weights: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return what a :class:`SemFormer` has of the auto-encoder; 0 where a file does not hold it.

    Args:
        weights: All weights under their published names.
        settings: Of :func:`semformer_settings`.
    """
    head = settings['caae']['embed_head']
    table = torch.zeros(head['num_classes'], head['embed_channels'])
    return {SEMANTICS: weights.get('ae.crs.0.weight', table).relu()}
