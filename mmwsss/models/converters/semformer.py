"""Weights of SemFormer: its class-aware auto-encoder and its segmentation network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmwsss.models.segmentors import ClassAwareAutoEncoder, SemFormer

from .foreign_weights import (
    Converted,
    NameTable,
    convert_weights,
    read_torch_weights,
    shapes_of,
)
from .vit import VIT, num_heads, vit_settings

CAAE = NameTable(
    (
        *VIT.rules,
        (r'^encoder\.vit_backbone\.grid_posembed$', 'backbone.pos_embed'),
        (r'^encoder\.vit_backbone\.model\.', 'backbone.'),
        (r'^convert\.0\.weight$', 'embed_head.embed.weight'),
        (r'^crs\.0\.weight$', 'embed_head.semantics.weight'),
        (r'^decoder\.mlp\.', 'decoder.paint.'),
        (r'^re_convert\.', 'decoder.reduce.'),
        (r'^mlp\.', 'decoder.project.'),
    ),
    # of the distilled DeiT, without part in anything
    left_out=r'encoder\.vit_backbone\.model\.(?:dist_token$|head_dist\.|head\.)',
)
SEMFORMER = NameTable(
    (
        *VIT.rules,
        (r'^segmentor\.cls_token$', 'backbone.class_tokens'),
        (r'^segmentor\.cls_posembed$', 'backbone.class_pos_embed'),
        (r'^segmentor\.backbone\.grid_posembed$', 'backbone.pos_embed'),
        (r'^segmentor\.backbone\.model\.', 'backbone.'),
        (r'^segmentor\.cls_head\.', 'embed_head.'),
        (r'^segmentor\.seg_head\.1\.', 'cam_head.classify.'),
    ),
    # the ViT's own tokens and classifier, and the auto-encoder, without which checkpoints are saved
    left_out=r'segmentor\.backbone\.model\.(?:cls_token$|pos_embed$|head\.)|ae\.',
)
SEMANTICS = 'class_semantics'


def _backbone_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read off the settings of the backbone."""
    prefix = 'backbone.'
    names = [name for name in weights if name.startswith(prefix)]
    return vit_settings({name.removeprefix(prefix): weights[name] for name in names})


def caae_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read off weights which auto-encoder they are of.

    Args:
        weights: Under the names of :class:`ClassAwareAutoEncoder`.

    Returns:
        ``backbone``, ``embed_head`` and ``decoder`` of :class:`ClassAwareAutoEncoder`.
    """
    backbone = _backbone_settings(weights)
    # what is missing or of another kind is refused later, by its name
    sizes = {name: tuple(x.shape) for name, x in weights.items() if x.ndim == 2}
    num_classes, channels = sizes.get('embed_head.semantics.weight', (21, 256))
    width, hidden = sizes.get('decoder.project.weight', (backbone['embed_dims'],) * 2)
    blocks = {name.split('.')[2] for name in weights if name.startswith('decoder.layers.')}
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
    return shapes_of(lambda: ClassAwareAutoEncoder(**parts))


def read_caae(path: str | os.PathLike[str]) -> Converted:
    """Read a checkpoint of the published class-aware auto-encoder.

    Args:
        path: The file.

    Raises:
        ConversionError: it is another file.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    weights = read_torch_weights(path)
    settings = caae_settings(CAAE.renamed(weights))
    state_dict = convert_weights(weights, CAAE, caae_shapes(settings), path)
    return Converted(state_dict, settings['embed_head']['num_classes'])


def semformer_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read off weights which segmentation network they are of.

    Args:
        weights: Under the names of :class:`SemFormer`.

    Returns:
        ``backbone``, ``cam_head`` and ``caae`` of :class:`SemFormer`.
    """
    backbone = _backbone_settings(weights)
    del backbone['num_class_tokens']
    head = weights.get('embed_head.weight')
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
    shapes = shapes_of(lambda: SemFormer(**parts, cra_blocks=0))
    return {name: shape for name, shape in shapes.items() if name != SEMANTICS}


def read_semformer(path: str | os.PathLike[str]) -> Converted:
    """Read a checkpoint of the published segmentation network.

    What :class:`SemFormer` has of the auto-encoder is 0 where the file does not hold it.

    Args:
        path: The file.

    Raises:
        ConversionError: and others, as of :func:`read_caae`.
    """
    weights = read_torch_weights(path)
    settings = semformer_settings(SEMFORMER.renamed(weights))
    state_dict = convert_weights(weights, SEMFORMER, semformer_shapes(settings), path)
    head = settings['caae']['embed_head']
    table = torch.zeros(head['num_classes'], head['embed_channels'])
    state_dict[SEMANTICS] = weights.get('ae.crs.0.weight', table).relu()
    return Converted(state_dict, head['num_classes'])
