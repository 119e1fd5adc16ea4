"""Names of ResNet38's and SEAM's published weights and what they are called here."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from mmwsss.models.backbones import ResNet38d
from mmwsss.models.heads import CAMHead
from mmwsss.models.refiners import PixelCorrelation
from mmwsss.utils.mxnet_params import MXNetFileError, is_mxnet_params, read_mxnet_params

from .foreign_weights import ConversionError, convert_weights, read_torch_weights

_MXNET = re.compile(
    r'(?:arg:|aux:)?(?:(?P<stem>conv1a|bn7)|(?P<kind>res|bn)(?P<stage>[2-7])(?P<block>a|b\d+)_'
    r'(?P<branch>branch1|branch2a|branch2b1|branch2b2))_(?:moving_)?(?P<last>[a-z]+)'
)
_MXNET_LAST = {
    'weight': 'weight',
    'gamma': 'weight',
    'beta': 'bias',
    'mean': 'running_mean',
    'var': 'running_var',
}
_MXNET_CLASSIFIER = re.compile(r'(?:arg:)?linear1000_(?:weight|bias)')
_TORCH_CLASSIFIER = 'linear1000.'
_PUBLISHED = re.compile(r'b([2-7])(?:_([1-9]\d*))?\.(\w+_branch\w+)\.(\w+)')
_LAYERS = {
    'bn_branch2a': 'norm1',
    'conv_branch2a': 'conv1',
    'bn_branch2b1': 'norm2',
    'conv_branch2b1': 'conv2',
    'bn_branch2b2': 'norm3',
    'conv_branch2b2': 'conv3',
    'conv_branch1': 'shortcut',
}
_SEAM = {
    'fc8.weight': 'cam_head.conv_cam.weight',
    'f8_3.weight': 'pcm.embeds.0.weight',
    'f8_4.weight': 'pcm.embeds.1.weight',
    'f9.weight': 'pcm.project.weight',
}


def is_mxnet_classifier(name: str) -> bool:
    """Tell whether an MXNet name belongs to the ImageNet classifier, which is left out.

    Args:
        name: Name as written in the file.
    """
    return _MXNET_CLASSIFIER.fullmatch(name) is not None


def mxnet_to_published(name: str) -> str:
    """Return the name that the published PyTorch code gives an MXNet array of ResNet38.

    Args:
        name: Name as written in the file, with or without ``arg:`` and ``aux:``.

    Raises:
        KeyError: the network has no such array.

    Example:
        >>> mxnet_to_published('aux:bn4b3_branch2a_moving_var')
        'b4_3.bn_branch2a.running_var'
    """
    match = _MXNET.fullmatch(name)
    if match is None or match['last'] not in _MXNET_LAST:
        raise KeyError(name)
    last = _MXNET_LAST[match['last']]
    if match['stem']:
        return f'{match["stem"]}.{last}'
    block = f'b{match["stage"]}' + match['block'].replace('b', '_').removeprefix('a')
    kind = 'conv' if match['kind'] == 'res' else 'bn'
    return f'{block}.{kind}_{match["branch"]}.{last}'


def published_to_resnet38d(name: str) -> str:
    """Return the name of a published ResNet38 weight in :class:`ResNet38d`.

    Args:
        name: Name in the published PyTorch code.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_resnet38d('b4_3.bn_branch2a.weight')
        'stages.2.3.norm1.weight'
    """
    for stem, ours in (('conv1a.', 'conv1.'), ('bn7.', 'norm.')):
        if name.startswith(stem):
            return ours + name.removeprefix(stem)
    match = _PUBLISHED.fullmatch(name)
    if match is None:
        raise KeyError(name)
    stage, block, layer, last = match.groups()
    return f'stages.{int(stage) - 2}.{block or 0}.{_LAYERS[layer]}.{last}'


def published_to_seam(name: str) -> str:
    """Return the name of a published SEAM weight in :class:`SEAM`.

    Args:
        name: Name in the published PyTorch code.

    Raises:
        KeyError: the network has no such weight.

    Example:
        >>> published_to_seam('f9.weight'), published_to_seam('conv1a.weight')
        ('pcm.project.weight', 'backbone.conv1.weight')
    """
    return _SEAM.get(name) or f'backbone.{published_to_resnet38d(name)}'


def resnet38d_shapes() -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of :class:`ResNet38d`."""
    with torch.device('meta'):
        network = ResNet38d()
    return {name: value.shape for name, value in network.state_dict().items()}


def _read_mxnet(path: Path) -> dict[str, Tensor]:
    """Read an MXNet file and return the backbone's weights under their published names."""
    weights = {}
    try:
        arrays = read_mxnet_params(path)
    except MXNetFileError as error:
        raise ConversionError(str(error)) from error
    for name, array in arrays.items():
        if is_mxnet_classifier(name):
            continue
        try:
            weights[mxnet_to_published(name)] = torch.from_numpy(array)
        except KeyError:
            raise ConversionError(
                f'{path}: holds an array {name!r}, which ResNet38 has not: give '
                'ilsvrc-cls_rna-a1_cls1000_ep-0001.params.'
            ) from None
    return weights


def read_resnet38d(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read ImageNet weights of ResNet38 and return the state dict of :class:`ResNet38d`.

    Args:
        path: MXNet's ``.params`` file, a copy of it for PyTorch, or what a converter made of it.

    Raises:
        ConversionError: it is another file.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    path, shapes = Path(path), resnet38d_shapes()
    if path.suffix == '.params' or (path.is_file() and is_mxnet_params(path)):
        weights = _read_mxnet(path)
    else:
        found = read_torch_weights(path)
        weights = {k: v for k, v in found.items() if not k.startswith(_TORCH_CLASSIFIER)}

    def rename(name: str) -> str:
        return name if name in shapes else published_to_resnet38d(name)

    return convert_weights(weights, rename, shapes, path)


def seam_shapes(num_classes: int = 21) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of SEAM on :class:`ResNet38d`.

    Args:
        num_classes: Classes with background.
    """
    with torch.device('meta'):
        parts: dict[str, nn.Module] = {
            'backbone': ResNet38d(),
            'cam_head': CAMHead(4096, num_classes, with_background=True),
            'pcm': PixelCorrelation(),
        }
    return {
        f'{part}.{name}': value.shape
        for part, network in parts.items()
        for name, value in network.state_dict().items()
    }
