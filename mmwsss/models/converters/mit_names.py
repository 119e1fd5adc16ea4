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

from .foreign_weights import convert_weights, read_torch_weights

_EMBED = re.compile(r'patch_embed([1-4])\.(proj|norm)\.(\w+)')
_BLOCK = re.compile(r'block([1-4])\.(\d+)\.([a-z0-9_.]+)\.(\w+)')
_OWN_BLOCK = re.compile(r'layers\.([0-3])\.1\.(\d+)\.')
_NORM = re.compile(r'norm([1-4])\.(\w+)')
_LAYERS = {
    'norm1': 'norm1.',
    'attn.qkv': 'attn.attn.in_proj_',
    'attn.proj': 'attn.attn.out_proj.',
    'attn.sr': 'attn.sr.',
    'attn.norm': 'attn.norm.',
    'norm2': 'norm2.',
    'mlp.fc1': 'ffn.layers.0.',
    'mlp.dwconv.dwconv': 'ffn.layers.1.',
    'mlp.fc2': 'ffn.layers.4.',
}
_AFA = (
    (re.compile(r'classifier\.(weight)'), r'cam_head.conv_cam.\1'),
    (re.compile(r'attn_proj\.(\w+)'), r'affinity_head.conv.\1'),
    (re.compile(r'decoder\.linear_fuse\.(\w+\.\w+)'), r'decode_head.fusion_conv.\1'),
    (re.compile(r'decoder\.linear_pred\.(\w+)'), r'decode_head.conv_seg.\1'),
    *(
        (
            re.compile(rf'decoder\.linear_c{i}\.proj\.(\w+)'),
            rf'decode_head.convs.{i - 1}.conv.\1',
        )
        for i in (1, 2, 3, 4)
    ),
)
_FUSION = 'decoder.linear_fuse.conv.weight'
_LINEAR = re.compile(r'(?:.*\.)?(?:mlp\.fc[12]|linear_c[1-4]\.proj)\.weight')


def is_mit_classifier(name: str) -> bool:
    """Tell whether a name belongs to MiT's ImageNet classifier, which is left out.

    Args:
        name: Name in the published code.
    """
    return name in ('head.weight', 'head.bias')


def published_to_mit(name: str) -> str:
    """Return the name of a weight of the published MiT in :class:`AttentionMiT`.

    Args:
        name: Name in the published code; ``attn.qkv`` stands for ``attn.q`` and ``attn.kv``, which
            :func:`merge_mit_weights` joins. Names of MMSegmentation's MiT stay as they are.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_mit('block3.1.mlp.fc2.bias'), published_to_mit('patch_embed1.proj.weight')
        ('layers.2.1.1.ffn.layers.4.bias', 'layers.0.0.projection.weight')
    """
    if name.startswith('layers.'):
        return name
    if match := _EMBED.fullmatch(name):
        stage, layer, last = match.groups()
        return f'layers.{int(stage) - 1}.0.{layer.replace("proj", "projection")}.{last}'
    if match := _NORM.fullmatch(name):
        return f'layers.{int(match[1]) - 1}.2.{match[2]}'
    match = _BLOCK.fullmatch(name)
    if match is None:
        raise KeyError(name)
    stage, block, layer, last = match.groups()
    return f'layers.{int(stage) - 1}.1.{block}.{_LAYERS[layer]}{last}'


def published_to_afa(name: str) -> str:
    """Return the name of a published AFA weight in :class:`AFA`.

    Args:
        name: Name in the published code; see :func:`published_to_mit` for the encoder's.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_afa('classifier.weight'), published_to_afa('encoder.norm4.bias')
        ('cam_head.conv_cam.weight', 'backbone.layers.3.2.bias')
    """
    for pattern, ours in _AFA:
        if match := pattern.fullmatch(name):
            return match.expand(ours)
    if not name.startswith('encoder.'):
        raise KeyError(name)
    return f'backbone.{published_to_mit(name.removeprefix("encoder."))}'


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


def mit_settings(weights: Mapping[str, Tensor], prefix: str = '') -> dict[str, Any]:
    """Read off weights which MiT they are of: B0 to B5 or another width and depth.

    Args:
        weights: Weights of the published MiT or of MMSegmentation's.
        prefix: What the names of the backbone begin with.

    Returns:
        ``embed_dims``, ``num_layers`` and ``num_heads`` of :class:`AttentionMiT`.
    """
    width, blocks = 64, set()
    for name, value in weights.items():
        if not name.startswith(prefix):
            continue
        name = name.removeprefix(prefix)
        if name in ('patch_embed1.proj.bias', 'layers.0.0.projection.bias'):
            width = value.numel()
        if match := _BLOCK.fullmatch(name):
            blocks.add((int(match[1]) - 1, match[2]))
        elif match := _OWN_BLOCK.match(name):
            blocks.add((int(match[1]), match[2]))
    depths = [max(sum(stage == i for stage, _ in blocks), 1) for i in range(4)]
    return dict(embed_dims=width, num_layers=depths, num_heads=[1, 2, 5, 8])


def mit_shapes(settings: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of :class:`AttentionMiT`.

    Args:
        settings: Of :func:`mit_settings`.
    """
    network = AttentionMiT(**settings)
    return {name: value.shape for name, value in network.state_dict().items()}


def read_mit(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read ImageNet weights of MiT and return the state dict of :class:`AttentionMiT`.

    Args:
        path: NVIDIA's file, or MMSegmentation's copy of it; B0 to B5 alike.

    Raises:
        ConversionError: it is another file.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    published = read_torch_weights(path)
    weights = {name: value for name, value in published.items() if not is_mit_classifier(name)}
    shapes = mit_shapes(mit_settings(weights))
    return convert_weights(merge_mit_weights(weights), published_to_mit, shapes, path)


def afa_shapes(settings: Mapping[str, Any], num_classes: int = 21) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of AFA on :class:`AttentionMiT`.

    Args:
        settings: Of :func:`mit_settings`.
        num_classes: Classes with background.
    """
    widths = [settings['embed_dims'] * heads for heads in settings['num_heads']]
    backbone = AttentionMiT(**settings)
    parts: dict[str, nn.Module] = {
        'backbone': backbone,
        'cam_head': CAMHead(widths[-1], num_classes),
        'decode_head': LinearSegformerHead(
            in_channels=widths,
            in_index=[0, 1, 2, 3],
            channels=256,
            num_classes=num_classes,
            norm_cfg=dict(type='BN'),
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        ),
        'affinity_head': AffinityHead(backbone.attention_maps),
    }
    return {
        f'{part}.{name}': value.shape
        for part, network in parts.items()
        for name, value in network.state_dict().items()
    }
