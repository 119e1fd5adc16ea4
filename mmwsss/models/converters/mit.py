"""Names of the published weights of MiT and AFA and what they are called here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmwsss.models.backbones import AttentionMiT
from mmwsss.models.heads import AffinityHead, CAMHead, LinearSegformerHead

from .foreign_weights import (
    Converted,
    NameTable,
    convert_weights,
    read_torch_weights,
    shapes_of,
)

_STAGE = re.compile(r'layers\.([0-3])\.1\.(\d+)\.')


def _rules(theirs: str = '', ours: str = '') -> tuple[tuple[str, str], ...]:
    """Return the rules of MiT where prefixes stand before all of its names."""
    return (
        *((rf'^{theirs}patch_embed{i + 1}\.', f'{ours}layers.{i}.0.') for i in range(4)),
        *((rf'^{theirs}block{i + 1}\.', f'{ours}layers.{i}.1.') for i in range(4)),
        *((rf'^{theirs}norm{i + 1}\.', f'{ours}layers.{i}.2.') for i in range(4)),
        (r'(layers\.\d\.0\.)proj\.', r'\1projection.'),
        (r'\.attn\.qkv\.', '.attn.attn.in_proj_'),
        (r'\.attn\.proj\.', '.attn.attn.out_proj.'),
        (r'\.mlp\.fc1\.', '.ffn.layers.0.'),
        (r'\.mlp\.dwconv\.dwconv\.', '.ffn.layers.1.'),
        (r'\.mlp\.fc2\.', '.ffn.layers.4.'),
    )


# of what merge_mit_weights makes; names of MMSegmentation's MiT stay as they are
MIT = NameTable(_rules(), left_out=r'head\.(?:weight|bias)$')
AFA = NameTable(
    (
        *_rules(r'encoder\.', 'backbone.'),
        (r'^classifier\.weight$', 'cam_head.conv_cam.weight'),
        (r'^attn_proj\.', 'affinity_head.conv.'),
        *((rf'^decoder\.linear_c{i + 1}\.proj', f'decode_head.convs.{i}.conv') for i in range(4)),
        (r'^decoder\.linear_fuse\.', 'decode_head.fusion_conv.'),
        (r'^decoder\.linear_pred\.', 'decode_head.conv_seg.'),
    )
)
_FUSION = 'decoder.linear_fuse.conv.weight'
_LINEAR = re.compile(r'(?:.*\.)?(?:mlp\.fc[12]|linear_c[1-4]\.proj)\.weight')


def _fit(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors can be joined; those that cannot are refused later, by name."""
    return one.ndim == other.ndim > 0 and one.shape[1:] == other.shape[1:]


def merge_mit_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give published weights of MiT or AFA the shapes that they have here.

    The projections of queries and of keys with values are joined; linear layers of feed-forward
    networks and decoder are 1x1 convolutions; the decoder fuses the scales from fine to coarse,
    not from coarse to fine.

    Args:
        weights: Weights under their published names.

    Returns:
        The weights, ``attn.qkv`` in place of ``attn.q`` and ``attn.kv``, other names kept.
    """
    merged = dict(weights)
    for name, queries in weights.items():
        pair = name.replace('.attn.q.', '.attn.kv.')
        if pair != name and pair in weights and _fit(queries, weights[pair]):
            joined = torch.cat([merged.pop(name), merged.pop(pair)])
            merged[name.replace('.attn.q.', '.attn.qkv.')] = joined
    for name, value in merged.items():
        if _LINEAR.fullmatch(name) and value.ndim == 2:
            merged[name] = value[..., None, None]
        elif name == _FUSION and value.ndim == 4:
            merged[name] = torch.cat(value.chunk(4, dim=1)[::-1], dim=1)
    return merged


def mit_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read off weights which MiT they are of: B0 to B5 or another width and depth.

    Args:
        weights: Under the names of :class:`AttentionMiT`.

    Returns:
        ``embed_dims``, ``num_layers`` and ``num_heads`` of :class:`AttentionMiT`.
    """
    bias = weights.get('layers.0.0.projection.bias')
    blocks = {match.groups() for name in weights if (match := _STAGE.match(name))}
    depths = [max(sum(stage == str(i) for stage, _ in blocks), 1) for i in range(4)]
    width = 64 if bias is None else bias.numel()
    return dict(embed_dims=width, num_layers=depths, num_heads=[1, 2, 5, 8])


def mit_shapes(settings: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of :class:`AttentionMiT`.

    Args:
        settings: Of :func:`mit_settings`.
    """
    # MMSegmentation's MiT computes with numbers while it is made
    return shapes_of(lambda: AttentionMiT(**settings), 'cpu')


def read_mit(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read ImageNet weights of MiT and return the state dict of :class:`AttentionMiT`.

    Args:
        path: NVIDIA's file, or MMSegmentation's copy of it; B0 to B5 alike.

    Raises:
        ConversionError: it is another file.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    weights = merge_mit_weights(read_torch_weights(path))
    return convert_weights(weights, MIT, mit_shapes(mit_settings(MIT.renamed(weights))), path)


def afa_shapes(settings: Mapping[str, Any], num_classes: int = 21) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of AFA on :class:`AttentionMiT`.

    Args:
        settings: Of :func:`mit_settings`.
        num_classes: Classes with background.
    """
    widths = [settings['embed_dims'] * heads for heads in settings['num_heads']]

    def build() -> dict[str, nn.Module]:
        backbone = AttentionMiT(**settings)
        decode_head = LinearSegformerHead(
            in_channels=widths,
            in_index=[0, 1, 2, 3],
            channels=256,
            num_classes=num_classes,
            norm_cfg=dict(type='BN'),
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        )
        return dict(
            backbone=backbone,
            cam_head=CAMHead(widths[-1], num_classes),
            decode_head=decode_head,
            affinity_head=AffinityHead(backbone.attention_maps),
        )

    return shapes_of(build, 'cpu')


def read_afa(path: str | os.PathLike[str]) -> Converted:
    """Read a checkpoint of the published AFA on any MiT, with any number of classes.

    Args:
        path: The file.

    Returns:
        The weights; ``settings`` are those of :func:`mit_settings`.

    Raises:
        ConversionError: and others, as of :func:`read_mit`.
    """
    weights = merge_mit_weights(read_torch_weights(path))
    renamed = AFA.renamed(weights)
    settings = mit_settings({name.removeprefix('backbone.'): x for name, x in renamed.items()})
    classifier = renamed.get('cam_head.conv_cam.weight')
    num_classes = 21
    if classifier is not None and classifier.ndim == 4:
        num_classes = len(classifier) + 1
    state_dict = convert_weights(weights, AFA, afa_shapes(settings, num_classes), path)
    return Converted(state_dict, num_classes, settings)
