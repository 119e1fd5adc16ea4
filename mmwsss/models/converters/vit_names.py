"""Names of the published weights of ViT and DeiT and what they are called here."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmwsss.models.backbones import TokenViT

from .foreign_weights import ConversionError, convert_weights, read_torch_weights

HEAD_CHANNELS = 64  # of DeiT and of ViT up to ViT-L; weights do not tell
_LAYERS = {
    'norm1': 'norm1',
    'ln1': 'norm1',
    'attn.qkv': 'attn.qkv',
    'attn.proj': 'attn.proj',
    'norm2': 'norm2',
    'ln2': 'norm2',
    'mlp.fc1': 'ffn.layers.0.0',
    'ffn.layers.0.0': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
    'ffn.layers.1': 'ffn.layers.1',
    'ls1': 'ls1',
    'ls2': 'ls2',
}
_BLOCK = re.compile(r'(?:blocks|layers)\.(\d+)\.([a-z0-9_.]+)\.(weight|bias|gamma)')
_OTHERS = (
    (re.compile(r'(class_tokens|class_pos_embed|pos_embed)'), r'\1'),
    (re.compile(r'patch_embed\.proj(?:ection)?\.(\w+)'), r'patch_embed.projection.\1'),
    # MMPretrain numbers the norm behind the blocks too
    (re.compile(r'(?:norm|ln1)\.(\w+)'), r'norm.\1'),
)
# and what DINOv2 puts in the place of patches that it hides while it learns
_CLASSIFIER = re.compile(r'(?:head|head_dist|pre_logits)\.|mask_token$')
_PREFIX = 'backbone.'
_FLAX_BLOCK = re.compile(r'Transformer/encoderblock_(\d+)/(.+)/(?:kernel|scale|bias)')
_FLAX_LAYERS = {
    'LayerNorm_0': 'norm1',
    'MultiHeadDotProductAttention_1/out': 'attn.proj',
    'LayerNorm_2': 'norm2',
    'MlpBlock_3/Dense_0': 'mlp.fc1',
    'MlpBlock_3/Dense_1': 'mlp.fc2',
}
_FLAX = {
    'cls': 'cls_token',
    'embedding': 'patch_embed.proj.{}',
    'Transformer/posembed_input': 'pos_embed',
    'Transformer/encoder_norm': 'norm.{}',
    'head': 'head.{}',
    'pre_logits': 'pre_logits.{}',
}


def published_to_token_block(name: str) -> str:
    """Return the name of a weight of a published block in :class:`TokenViT`.

    Args:
        name: Name in the code of DeiT, timm or MMPretrain.

    Raises:
        KeyError: a block has no such weight.

    Example:
        >>> published_to_token_block('blocks.3.mlp.fc2.bias')
        'layers.3.ffn.layers.1.bias'
    """
    match = _BLOCK.fullmatch(name)
    if match is None or match[2] not in _LAYERS:
        raise KeyError(name)
    return f'layers.{match[1]}.{_LAYERS[match[2]]}.{match[3]}'


def published_to_token_vit(name: str) -> str:
    """Return the name of a weight of a published ViT in :class:`TokenViT`.

    Args:
        name: Name in the code of DeiT, timm or MMPretrain; ``class_tokens``, ``class_pos_embed``
            and ``pos_embed`` are what :func:`split_vit_tokens` makes.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_token_vit('patch_embed.proj.bias'), published_to_token_vit('norm.bias')
        ('patch_embed.projection.bias', 'norm.bias')
    """
    for pattern, ours in _OTHERS:
        if match := pattern.fullmatch(name):
            return match.expand(ours)
    return published_to_token_block(name)


def split_vit_tokens(weights: Mapping[str, Tensor], num_class_tokens: int) -> dict[str, Tensor]:
    """Give published weights of a ViT the tokens that :class:`TokenViT` has.

    The table of positions is split into those of tokens and of patches. The class token and its
    position are repeated; DeiT's distillation token and all classifiers are left out.

    Args:
        weights: Weights under their published names, MMPretrain's ``backbone.`` allowed.
        num_class_tokens: Class tokens that are wanted, none at all for 0.

    Returns:
        The weights with ``class_tokens``, ``class_pos_embed`` and ``pos_embed``.

    Example:
        >>> weights = dict(cls_token=torch.ones(1, 1, 2), pos_embed=torch.zeros(1, 5, 2))
        >>> {name: tuple(x.shape) for name, x in split_vit_tokens(weights, 3).items()}
        {'pos_embed': (1, 4, 2), 'class_tokens': (1, 3, 2), 'class_pos_embed': (1, 3, 2)}
    """
    weights = {name.removeprefix(_PREFIX): value for name, value in weights.items()}
    weights = {name: x for name, x in weights.items() if not _CLASSIFIER.match(name)}
    tokens = weights.pop('cls_token', None)
    in_front = (tokens is not None) + (weights.pop('dist_token', None) is not None)
    positions = weights.get('pos_embed')
    # what does not fit together is refused later, by its name
    if positions is None or tokens is None or positions.ndim != 3 or tokens.ndim != 3:
        return weights
    weights['pos_embed'] = positions[:, in_front:]
    if num_class_tokens:
        weights['class_tokens'] = tokens.expand(-1, num_class_tokens, -1)
        weights['class_pos_embed'] = positions[:, :1].expand(-1, num_class_tokens, -1)
    return weights


def vit_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read off weights which ViT they are of.

    Args:
        weights: Of :func:`split_vit_tokens`.

    Returns:
        ``embed_dims``, ``num_layers``, ``num_heads``, ``patch_size``, ``img_size`` and
        ``num_class_tokens`` of :class:`TokenViT`, and ``layer_scale`` where they have it.
    """
    width, patch, grid, tokens = 768, 16, 196, 0
    for name, value in weights.items():
        if name in ('patch_embed.proj.weight', 'patch_embed.projection.weight') and value.ndim == 4:
            width, patch = len(value), value.shape[3]
        elif name == 'pos_embed' and value.ndim == 3:
            grid = value.shape[1]
        elif name == 'class_tokens':
            tokens = value.shape[1]
    blocks = {match[1] for name in weights if (match := _BLOCK.fullmatch(name))}
    settings: dict[str, Any] = dict(
        embed_dims=width,
        num_layers=max(len(blocks), 1),
        num_heads=num_heads(width),
        patch_size=patch,
        img_size=isqrt(grid) * patch,
        num_class_tokens=tokens,
    )
    if any(name.endswith('.ls1.gamma') for name in weights):
        settings['layer_scale'] = 1.0
    return settings


def num_heads(width: int) -> int:
    """Return how many heads a published ViT of a width has."""
    return width // HEAD_CHANNELS if width % HEAD_CHANNELS == 0 else 1


def token_vit_shapes(settings: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of :class:`TokenViT`.

    Args:
        settings: Of :func:`vit_settings`.
    """
    with torch.device('meta'):
        network = TokenViT(**settings)
    return {name: value.shape for name, value in network.state_dict().items()}


def flax_to_timm(arrays: Mapping[str, NDArray]) -> dict[str, Tensor]:
    """Give weights of Google's ViT for JAX the names and shapes of timm.

    Source: ``_load_weights`` in ``timm/models/vision_transformer.py`` of
    https://github.com/huggingface/pytorch-image-models

    Args:
        arrays: Of a file of https://github.com/google-research/vision_transformer; a name that is
            not of a ViT is kept, and refused later.
    """
    weights: dict[str, Tensor] = {}
    joined: dict[str, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        match = _FLAX_BLOCK.fullmatch(name)
        value = torch.from_numpy(array)
        kind = 'bias' if name.endswith('bias') else 'weight'
        if match is None:
            if value.ndim == 4:  # rows, columns, input, output
                value = value.permute(3, 2, 0, 1)
            weights[_FLAX.get(name.rpartition('/')[0] or name, name).format(kind)] = value
            continue
        block, layer = match.groups()
        if layer.endswith(('query', 'key', 'value')):
            # input, heads, channels of a head -> output, input
            value = value.flatten() if kind == 'bias' else value.flatten(1).T
            joined.setdefault(f'blocks.{block}.attn.qkv.{kind}', {})[layer] = value
            continue
        if kind == 'weight' and value.ndim > 1:
            value = value.flatten(0, -2).T
        weights[f'blocks.{block}.{_FLAX_LAYERS.get(layer, layer)}.{kind}'] = value
    for name, parts in joined.items():
        ordered = sorted(parts, key=lambda layer: 'qkv'.index(layer.rpartition('/')[2][0]))
        weights[name] = torch.cat([parts[layer] for layer in ordered])
    return weights


def _is_npz(path: Path) -> bool:
    """Tell NumPy's archives from PyTorch's, whatever their name."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        return any(name.endswith('.npy') for name in file.namelist())


def _read_flax(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return flax_to_timm(arrays)
    except Exception as error:  # whatever a foreign file makes NumPy stumble over
        raise ConversionError(
            f'{path}: cannot be read as weights of a ViT for JAX (.npz): download it again.'
        ) from error


def read_token_vit(
    path: str | os.PathLike[str], num_class_tokens: int = 1
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights of a ViT and return the state dict of :class:`TokenViT` and its settings.

    Args:
        path: Checkpoint of DeiT (distilled or not), DINO, DINOv2, timm or MMPretrain, or a
            ``.npz`` file of Google's ViT for JAX.
        num_class_tokens: Class tokens that are wanted.

    Raises:
        ConversionError: it is another file, or has no class token where some are wanted.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    path = Path(path)
    published = _read_flax(path) if _is_npz(path) else read_torch_weights(path)
    weights = split_vit_tokens(published, num_class_tokens)
    settings = vit_settings(weights)
    # a file without a class token is to be refused
    expected = token_vit_shapes({**settings, 'num_class_tokens': num_class_tokens})
    return convert_weights(weights, published_to_token_vit, expected, path), settings
