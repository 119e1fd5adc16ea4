"""Names of the published weights of ViT and DeiT and what they are called here."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmwsss.models.backbones import TokenViT

from .foreign_weights import (
    ConversionError,
    Converted,
    NameTable,
    convert_weights,
    read_torch_weights,
    shapes_of,
)

HEAD_CHANNELS = 64  # of DeiT and of ViT up to ViT-L; weights do not tell
# names of DeiT and timm, and of MMPretrain, which numbers the norm behind the blocks, too
VIT = NameTable(
    (
        (r'\bblocks\.', 'layers.'),
        (r'(layers\.\d+\.)ln([12])\.', r'\1norm\2.'),
        (r'^ln1\.', 'norm.'),
        (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
        (r'\.mlp\.fc2\.', '.ffn.layers.1.'),
        (r'\bpatch_embed\.proj\.', 'patch_embed.projection.'),
    ),
    # and what DINOv2 puts in the place of patches that it hides while it learns
    left_out=r'(?:head|head_dist|pre_logits)\.|mask_token$',
)
_BLOCK = re.compile(r'layers\.(\d+)\.')
_PREFIX = 'backbone.'
# of Google's ViT for JAX, in the terms of timm
FLAX = NameTable(
    (
        (r'^cls$', 'cls_token'),
        (r'^embedding/', 'patch_embed.proj/'),
        (r'^Transformer/posembed_input/pos_embedding$', 'pos_embed'),
        (r'^Transformer/encoder_norm/', 'norm/'),
        (r'^Transformer/encoderblock_(\d+)/', r'blocks.\1.'),
        (r'LayerNorm_0/', 'norm1/'),
        (r'MultiHeadDotProductAttention_1/(query|key|value|out)/', r'attn.\1/'),
        (r'attn\.out/', 'attn.proj/'),
        (r'LayerNorm_2/', 'norm2/'),
        (r'MlpBlock_3/Dense_0/', 'mlp.fc1/'),
        (r'MlpBlock_3/Dense_1/', 'mlp.fc2/'),
        (r'/(?:kernel|scale)$', '.weight'),
        (r'/bias$', '.bias'),
    )
)


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
    weights = {name: weights[name] for name in VIT.used(weights)}
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
        weights: Under the names of :class:`TokenViT`.

    Returns:
        ``embed_dims``, ``num_layers``, ``num_heads``, ``patch_size``, ``img_size`` and
        ``num_class_tokens`` of :class:`TokenViT`, and ``layer_scale`` where they have it.
    """

    def shape(name: str, *default: int) -> Sequence[int]:
        # what is missing or of another kind is refused later, by its name
        found = weights[name].shape if name in weights else default
        return found if len(found) == len(default) else default

    width, _, _, patch = shape('patch_embed.projection.weight', 768, 3, 16, 16)
    _, grid, _ = shape('pos_embed', 1, 196, 768)
    _, tokens, _ = shape('class_tokens', 1, 0, 768)
    blocks = {match[1] for name in weights if (match := _BLOCK.match(name))}
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
    return shapes_of(lambda: TokenViT(**settings))


def flax_to_timm(arrays: Mapping[str, NDArray]) -> dict[str, Tensor]:
    """Give weights of Google's ViT for JAX the names and shapes of timm.

    Source: ``_load_weights`` in ``timm/models/vision_transformer.py`` of
    https://github.com/huggingface/pytorch-image-models

    Args:
        arrays: Of a file of https://github.com/google-research/vision_transformer; a name that is
            not of a ViT is kept, and refused later.

    Raises:
        KeyError: a block lacks the keys or values of its attention.
    """
    weights: dict[str, Tensor] = {}
    for name, array in arrays.items():
        value = torch.from_numpy(array)
        if name.endswith(('query/bias', 'key/bias', 'value/bias')):
            value = value.flatten()
        elif name.endswith(('query/kernel', 'key/kernel', 'value/kernel')):
            value = value.flatten(1).T  # input, heads, channels of a head -> output, input
        elif name.endswith('kernel') and value.ndim == 4:
            value = value.permute(3, 2, 0, 1)  # rows, columns, input, output
        elif name.endswith('kernel'):
            value = value.flatten(0, -2).T
        weights[FLAX(name)] = value
    for name in [name for name in weights if '.attn.query.' in name]:
        parts = [weights.pop(name.replace('query', part)) for part in ('query', 'key', 'value')]
        weights[name.replace('query', 'qkv')] = torch.cat(parts)
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


def read_token_vit(path: str | os.PathLike[str], num_class_tokens: int = 1) -> Converted:
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
    settings = vit_settings(VIT.renamed(weights))
    # a file without a class token is to be refused
    expected = token_vit_shapes({**settings, 'num_class_tokens': num_class_tokens})
    return Converted(convert_weights(weights, VIT, expected, path), settings=settings)
