"""Names of MCTformer's published weights and what they are called here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmwsss.models.backbones import TokenViT
from mmwsss.models.heads import CAMHead

from .foreign_weights import (
    ConversionError,
    Converted,
    NameTable,
    convert_weights,
    read_torch_weights,
    shapes_of,
)
from .vit import VIT, vit_settings

# of what split_mctformer_tokens makes: names of DeiT, and the classifier of the patches
MCTFORMER = NameTable(
    (
        *VIT.rules,
        (r'^(patch_embed|layers|pos_embed|class_tokens|class_pos_embed)\b', r'backbone.\1'),
        (r'^head\.', 'patch_head.conv_cam.'),
    ),
    # nothing reads the last norm
    left_out=r'norm\.',
)
_BACKBONE = 'backbone.'


def split_mctformer_tokens(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give MCTformer's published weights the tokens of :class:`TokenViT`.

    V1 and V2 have one table of positions, class tokens first, + has two and a third that nothing
    reads. The linear classifier of V1, which nothing reads either, is left out.

    Args:
        weights: Weights under their published names.
    """
    weights = dict(weights)
    tokens = weights.pop('cls_token', None)
    if tokens is not None:
        weights['class_tokens'] = tokens
    head = weights.get('head.weight')
    if head is not None and head.ndim == 2:
        weights = {name: x for name, x in weights.items() if not name.startswith('head.')}
    positions = weights.get('pos_embed')
    if 'pos_embed_pat' in weights:
        weights['pos_embed'] = weights.pop('pos_embed_pat')
        if 'pos_embed_cls' in weights:
            weights['class_pos_embed'] = weights.pop('pos_embed_cls')
    # what does not fit together is refused later, by its name
    elif positions is not None and tokens is not None and positions.ndim == tokens.ndim == 3:
        number = tokens.shape[1]
        weights['class_pos_embed'] = positions[:, :number]
        weights['pos_embed'] = positions[:, number:]
    return weights


def mctformer_version(weights: Mapping[str, Tensor]) -> str:
    """Return which version published weights are of: 'v1', 'v2' or 'plus'.

    Args:
        weights: Weights under their published names.
    """
    if 'pos_embed_pat' in weights:
        return 'plus'
    head = weights.get('head.weight')
    return 'v1' if head is not None and head.ndim == 2 else 'v2'


def _check_tokens(weights: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Refuse weights without a token for each class, such as the ViT that training starts from."""
    tokens, head = weights.get('cls_token'), weights.get('head.weight')
    if tokens is None:
        raise ConversionError(
            f"{path}: has no class tokens ('cls_token'): give a checkpoint of the published "
            'MCTformer.'
        )
    # what has another number of dimensions is refused later, by its name
    if head is not None and head.ndim and tokens.ndim == 3 and len(head) != tokens.shape[1]:
        raise ConversionError(
            f"{path}: 'cls_token' has tokens for {tokens.shape[1]} classes and 'head.weight' has "
            f'{len(head)} classes: give a checkpoint of the published MCTformer; '
            'tools/model_converters/vit2mmwsss.py takes a ViT to start from.'
        )


def mctformer_shapes(settings: Mapping[str, Any], patch_head: bool) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of :class:`MCTformer`.

    Args:
        settings: Of the backbone, as of :func:`vit_settings`.
        patch_head: Whether it has a classifier of the patches.
    """

    def build() -> dict[str, nn.Module]:
        parts: dict[str, nn.Module] = dict(backbone=TokenViT(**settings, final_norm=False))
        if patch_head:
            parts['patch_head'] = CAMHead(
                settings['embed_dims'], settings['num_class_tokens'] + 1, kernel_size=3, bias=True
            )
        return parts

    return shapes_of(build)


def read_mctformer(path: str | os.PathLike[str]) -> Converted:
    """Read a checkpoint of the published MCTformer, V1, V2 or +, on any DeiT.

    Args:
        path: The file.

    Returns:
        The weights; ``settings`` holds ``version`` and ``backbone``, settings of :class:`TokenViT`.

    Raises:
        ConversionError: it is another file.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    published = read_torch_weights(path)
    _check_tokens(published, path)
    version = mctformer_version(published)
    weights = split_mctformer_tokens(published)
    renamed = MCTFORMER.renamed(weights)
    backbone = vit_settings(
        {n.removeprefix(_BACKBONE): x for n, x in renamed.items() if n.startswith(_BACKBONE)}
    )
    # tokens of another kind are refused for their shape
    backbone['num_class_tokens'] = max(backbone['num_class_tokens'], 1)
    expected = mctformer_shapes(backbone, version != 'v1')
    state_dict = convert_weights(weights, MCTFORMER, expected, path)
    settings = dict(version=version, backbone=backbone)
    return Converted(state_dict, backbone['num_class_tokens'] + 1, settings)
