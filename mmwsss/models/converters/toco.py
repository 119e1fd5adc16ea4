"""Names of ToCo's published weights and what they are called here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmwsss.models.backbones import TokenViT
from mmwsss.models.heads import CAMHead, DilatedConvHead, MeanTeacher

from .foreign_weights import (
    Converted,
    NameTable,
    convert_weights,
    read_torch_weights,
    shapes_of,
)
from .vit import VIT, split_vit_tokens, vit_settings

_ENCODER, _BACKBONE = 'encoder.', 'backbone.'
_CLASSIFIER = 'cam_head.conv_cam.weight'
_STUDENT = 'contrast_head.student.'
_NORMED = 'last.parametrizations.weight.original'
# of what split_toco_tokens makes
TOCO = NameTable(
    (
        (rf'^{_ENCODER}', _BACKBONE),
        *VIT.rules,
        # where the table of positions is not split yet
        (r'^backbone\.cls_token$', 'backbone.class_tokens'),
        (r'^classifier\.', 'cam_head.conv_cam.'),
        (r'^aux_classifier\.', 'auxiliary_head.conv_cam.'),
        (r'^decoder\.conv6\.', 'decode_head.convs.0.'),
        (r'^decoder\.conv7\.', 'decode_head.convs.2.'),
        (r'^decoder\.conv8\.', 'decode_head.conv_seg.'),
        (r'^proj_head\.', _STUDENT),
        (r'^proj_head_t\.', 'contrast_head.teacher.'),
        (r'\blast_layer\.weight_g$', f'{_NORMED}0'),
        (r'\blast_layer\.weight_v$', f'{_NORMED}1'),
    )
)


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
        weights: Under the names of :class:`ToCo`.

    Returns:
        ``backbone``, settings of :class:`TokenViT`, ``num_classes`` with background, ``channels``
        of the decoder, and ``projection``, the three widths of :class:`ProjectionHead`.
    """

    def length(name: str, default: int) -> int:
        # what is missing or of another kind is refused later, by its name
        value = weights.get(name)
        return len(value) if value is not None and value.ndim and len(value) else default

    backbone = {n.removeprefix(_BACKBONE): x for n, x in weights.items() if n.startswith(_BACKBONE)}
    return dict(
        backbone=vit_settings(backbone),
        num_classes=length(_CLASSIFIER, 20) + 1,
        channels=length('decode_head.convs.0.weight', 512),
        projection=dict(
            hidden_channels=length(f'{_STUDENT}mlp.0.weight', 2048),
            bottleneck_channels=length(f'{_STUDENT}mlp.4.weight', 256),
            out_channels=length(f'{_STUDENT}{_NORMED}1', 1024),
        ),
    )


def toco_shapes(settings: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of :class:`ToCo`.

    Args:
        settings: Of :func:`toco_settings`.
    """
    width, num_classes = settings['backbone']['embed_dims'], settings['num_classes']
    projection = dict(type='ProjectionHead', in_channels=width, **settings['projection'])

    def build() -> dict[str, nn.Module]:
        return dict(
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

    return shapes_of(build)


def read_toco(path: str | os.PathLike[str]) -> Converted:
    """Read a checkpoint of the published ToCo on any ViT, with any number of classes.

    Args:
        path: The file.

    Returns:
        The weights; ``settings`` are those of :func:`toco_settings`.

    Raises:
        ConversionError: it is another file.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    weights = split_toco_tokens(read_torch_weights(path))
    settings = toco_settings(TOCO.renamed(weights))
    state_dict = convert_weights(weights, TOCO, toco_shapes(settings), path)
    return Converted(state_dict, settings['num_classes'], settings)
