"""Names of AffinityNet's and IRN's published weights and what they are called here."""

from __future__ import annotations

import re
from typing import Any

import torch

from mmwsss.models.segmentors import AffinityNet, AffinitySegmentor, IRNBoundary

from .resnet38_names import published_to_resnet38d

_AFFINITYNET = {
    'f8_3.weight': 'embeds.0.weight',
    'f8_4.weight': 'embeds.1.weight',
    'f8_5.weight': 'embeds.2.weight',
    'f9.weight': 'project.weight',
}
_IRN = (
    (re.compile(r'stage1\.0\.(\w+)'), r'backbone.conv1.\1'),
    (re.compile(r'stage1\.1\.(\w+)'), r'backbone.bn1.\1'),
    # the stages 2 to 5 are the layers 1 to 4 of a ResNet
    *(
        (re.compile(rf'stage{i + 1}\.0\.(\d+\.[\w.]+)'), rf'backbone.layer{i}.\1')
        for i in (1, 2, 3, 4)
    ),
    *((re.compile(rf'fc_edge{i}\.([01]\.\w+)'), rf'embeds.{i - 1}.\1') for i in (1, 2, 3, 4, 5)),
    (re.compile(r'fc_edge6\.(\w+)'), r'project.\1'),
)
# the same tensors once more under the names of lists, and tables of paths
_IRN_COPIES = re.compile(r'backbone\.\d\.|edge_layers\.\d\.|path_indices_\d+$')


def published_to_affinitynet(name: str) -> str:
    """Return the name of a published AffinityNet weight in :class:`AffinityNet`.

    Args:
        name: Name in the published PyTorch code.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_affinitynet('f8_4.weight'), published_to_affinitynet('bn7.bias')
        ('embeds.1.weight', 'backbone.norm.bias')
    """
    return _AFFINITYNET.get(name) or f'backbone.{published_to_resnet38d(name)}'


def published_to_irn(name: str) -> str:
    """Return the name of a published weight of IRN's boundary branch in :class:`IRNBoundary`.

    Args:
        name: Name in the published PyTorch code.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_irn('fc_edge5.1.bias'), published_to_irn('stage3.0.2.conv1.weight')
        ('embeds.4.1.bias', 'backbone.layer2.2.conv1.weight')
    """
    for pattern, ours in _IRN:
        if match := pattern.fullmatch(name):
            return match.expand(ours)
    raise KeyError(name)


def is_irn_copy(name: str) -> bool:
    """Tell whether a published entry repeats another one or is made from nothing but sizes.

    Args:
        name: Name in the published PyTorch code.
    """
    return _IRN_COPIES.match(name) is not None


def _shapes(kind: type[AffinitySegmentor], backbone: dict[str, Any]) -> dict[str, torch.Size]:
    with torch.device('meta'):
        network = kind(backbone)
    return {name: value.shape for name, value in network.state_dict().items()}


def affinitynet_shapes() -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of AffinityNet on :class:`ResNet38d`."""
    return _shapes(AffinityNet, dict(type='ResNet38d'))


def irn_shapes() -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of IRN's boundary branch on a ResNet-50."""
    return _shapes(IRNBoundary, dict(type='ResNetWithStem', depth=50))
