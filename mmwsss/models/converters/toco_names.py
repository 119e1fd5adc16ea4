"""Names of ToCo's published weights and what they are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmwsss.models.backbones import TokenViT
from mmwsss.models.heads import CAMHead, DilatedConvHead, MeanTeacher

from .vit_names import published_to_token_vit, split_vit_tokens, vit_settings

_ENCODER = 'encoder.'
_TOKENS = {'cls_token': 'class_tokens'}  # before the table of positions is split
_NORMS = 'last.parametrizations.weight'
_TOCO = (
    (re.compile(r'classifier\.weight'), 'cam_head.conv_cam.weight'),
    (re.compile(r'aux_classifier\.weight'), 'auxiliary_head.conv_cam.weight'),
    (re.compile(r'decoder\.conv6\.weight'), 'decode_head.convs.0.weight'),
    (re.compile(r'decoder\.conv7\.weight'), 'decode_head.convs.2.weight'),
    (re.compile(r'decoder\.conv8\.weight'), 'decode_head.conv_seg.weight'),
    (re.compile(r'proj_head\.(mlp\.[024]\.\w+)'), r'contrast_head.student.\1'),
    (re.compile(r'proj_head_t\.(mlp\.[024]\.\w+)'), r'contrast_head.teacher.\1'),
    (re.compile(r'proj_head\.last_layer\.weight_g'), f'contrast_head.student.{_NORMS}.original0'),
    (re.compile(r'proj_head\.last_layer\.weight_v'), f'contrast_head.student.{_NORMS}.original1'),
    (re.compile(r'proj_head_t\.last_layer\.weight_g'), f'contrast_head.teacher.{_NORMS}.original0'),
    (re.compile(r'proj_head_t\.last_layer\.weight_v'), f'contrast_head.teacher.{_NORMS}.original1'),
)


def published_to_toco(name: str) -> str:
    """Return the name of a published weight in :class:`ToCo` on :class:`TokenViT`.

    Args:
        name: Name in the published code, or one that :func:`split_toco_tokens` makes.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_toco('encoder.norm.bias'), published_to_toco('proj_head_t.mlp.4.bias')
        ('backbone.norm.bias', 'contrast_head.teacher.mlp.4.bias')
    """
    for pattern, ours in _TOCO:
        if match := pattern.fullmatch(name):
            return match.expand(ours)
    if not name.startswith(_ENCODER):
        raise KeyError(name)
    name = name.removeprefix(_ENCODER)
    return f'backbone.{published_to_token_vit(_TOKENS.get(name, name))}'


def split_toco_tokens(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give ToCo's published weights the tokens of :class:`TokenViT`, see :func:`split_vit_tokens`.

    Args:
        weights: Weights under their published names.
    """
    encoder = {n.removeprefix(_ENCODER): x for n, x in weights.items() if n.startswith(_ENCODER)}
    others = {name: x for name, x in weights.items() if not name.startswith(_ENCODER)}
    split = split_vit_tokens(encoder, 1)
    return {**others, **{f'{_ENCODER}{name}': value for name, value in split.items()}}


def toco_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read off weights which ToCo they are of.

    Args:
        weights: Of :func:`split_toco_tokens`.

    Returns:
        ``backbone``, settings of :class:`TokenViT`, ``num_classes`` with background, ``channels``
        of the decoder, and ``projection``, the three widths of :class:`ProjectionHead`.
    """

    def length(name: str, default: int) -> int:
        value = weights.get(name)
        return default if value is None or not value.ndim else len(value)

    encoder = {n.removeprefix(_ENCODER): x for n, x in weights.items() if n.startswith(_ENCODER)}
    return dict(
        backbone=vit_settings(encoder),
        num_classes=max(length('classifier.weight', 20), 1) + 1,
        channels=length('decoder.conv6.weight', 512),
        projection=dict(
            hidden_channels=length('proj_head.mlp.0.weight', 2048),
            bottleneck_channels=length('proj_head.mlp.4.weight', 256),
            out_channels=length('proj_head.last_layer.weight_v', 1024),
        ),
    )


def toco_shapes(settings: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of :class:`ToCo`.

    Args:
        settings: Of :func:`toco_settings`.
    """
    width, num_classes = settings['backbone']['embed_dims'], settings['num_classes']
    projection = dict(type='ProjectionHead', in_channels=width, **settings['projection'])
    with torch.device('meta'):
        parts: dict[str, nn.Module] = dict(
            backbone=TokenViT(**settings['backbone']),
            cam_head=CAMHead(width, num_classes),
            auxiliary_head=CAMHead(width, num_classes),
            decode_head=DilatedConvHead(
                in_channels=width,
                channels=settings['channels'],
                num_classes=num_classes,
                loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
            ),
            contrast_head=MeanTeacher(projection),
        )
    return {
        f'{part}.{name}': value.shape
        for part, network in parts.items()
        for name, value in network.state_dict().items()
    }
