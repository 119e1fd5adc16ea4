"""Names of SemFormer's published weights and what they are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmwsss.models.segmentors import ClassAwareAutoEncoder

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
_UNUSED = re.compile(r'encoder\.vit_backbone\.model\.(?:dist_token$|head_dist\.|head\.)')


def is_unused_in_caae(name: str) -> bool:
    """Tell whether a published weight of the auto-encoder takes no part in it.

    Args:
        name: Name in the published code.
    """
    return _UNUSED.match(name) is not None


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
