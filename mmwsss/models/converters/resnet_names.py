"""ImageNet weights of torchvision's ResNet, whose names MMSegmentation's ResNet shares."""

from __future__ import annotations

import os

import torch
from mmseg.models import ResNet
from torch import Tensor

from .foreign_weights import convert_weights, read_torch_weights

_CLASSIFIER = 'fc.'


def resnet_shapes(depth: int) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of MMSegmentation's ``ResNet``.

    Args:
        depth: 50, 101 and others.
    """
    with torch.device('meta'):
        network = ResNet(depth)
    return {name: value.shape for name, value in network.state_dict().items()}


def read_resnet(path: str | os.PathLike[str], depth: int) -> dict[str, Tensor]:
    """Read torchvision's ImageNet weights of a ResNet; the classifier is left out.

    They fit MMSegmentation's ``ResNet``, :class:`ResNetWithStem` and MMPretrain's ``ResNet``.

    Args:
        path: The file.
        depth: 50, 101 and others.

    Raises:
        ConversionError: it is another file.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    weights = read_torch_weights(path)
    backbone = {name: x for name, x in weights.items() if not name.startswith(_CLASSIFIER)}
    return convert_weights(backbone, lambda name: name, resnet_shapes(depth), path)
