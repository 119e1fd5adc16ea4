"""Weights of ResNets and of SEAM, AffinityNet and IRN on them."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from mmseg.models import ResNet
from torch import Tensor

from mmwsss.models.backbones import ResNet38d
from mmwsss.models.heads import CAMHead
from mmwsss.models.refiners import PixelCorrelation
from mmwsss.models.segmentors import AffinityNet, IRNBoundary
from mmwsss.utils.mxnet_params import MXNetFileError, is_mxnet_params, read_mxnet_params

from .foreign_weights import (
    ConversionError,
    Converted,
    NameTable,
    convert_weights,
    read_torch_weights,
    shapes_of,
)

# of MXNet's file, in the terms of the published PyTorch code: bn4b3_branch2a_moving_var is
# b4_3.bn_branch2a.running_var
_MXNET = (
    (r'^(?:arg|aux):', ''),
    (r'_(?:weight|gamma)$', '.weight'),
    (r'_beta$', '.bias'),
    (r'_moving_(mean|var)$', r'.running_\1'),
    (r'^(res|bn)(\d)a_', r'b\2.\1_'),
    (r'^(res|bn)(\d)b(\d+)_', r'b\2_\3.\1_'),
    (r'\.res_', '.conv_'),
)
RESNET38 = NameTable(
    (
        *_MXNET,
        (r'^conv1a\.', 'conv1.'),
        (r'^bn7\.', 'norm.'),
        # the first block of a stage has no number
        *((rf'^b{i + 2}\.', f'stages.{i}.0.') for i in range(6)),
        *((rf'^b{i + 2}_([1-9]\d*)\.', rf'stages.{i}.\1.') for i in range(6)),
        (r'\.bn_branch2a\.', '.norm1.'),
        (r'\.conv_branch2a\.', '.conv1.'),
        (r'\.bn_branch2b1\.', '.norm2.'),
        (r'\.bn_branch2b2\.', '.norm3.'),
        (r'\.conv_branch2b1\.', '.conv2.'),
        (r'\.conv_branch2b2\.', '.conv3.'),
        (r'\.conv_branch1\.', '.shortcut.'),
    ),
    left_out=r'(?:arg:)?linear1000[_.]',
)
_BACKBONE = (r'^(conv1|norm|stages)\.', r'backbone.\1.')
SEAM = NameTable(
    (
        *RESNET38.rules,
        _BACKBONE,
        (r'^fc8\.', 'cam_head.conv_cam.'),
        (r'^f8_3\.', 'pcm.embeds.0.'),
        (r'^f8_4\.', 'pcm.embeds.1.'),
        (r'^f9\.', 'pcm.project.'),
    )
)
AFFINITYNET = NameTable(
    (
        *RESNET38.rules,
        _BACKBONE,
        *((rf'^f8_{i + 3}\.', f'embeds.{i}.') for i in range(3)),
        (r'^f9\.', 'project.'),
    )
)
IRN = NameTable(
    (
        (r'^stage1\.0\.', 'backbone.conv1.'),
        (r'^stage1\.1\.', 'backbone.bn1.'),
        # the stages 2 to 5 are the layers 1 to 4 of a ResNet
        *((rf'^stage{i + 1}\.0\.', f'backbone.layer{i}.') for i in range(1, 5)),
        *((rf'^fc_edge{i + 1}\.', f'embeds.{i}.') for i in range(5)),
        (r'^fc_edge6\.', 'project.'),
    ),
    # the same tensors once more under the names of lists, and tables of paths
    left_out=r'backbone\.\d\.|edge_layers\.\d\.|path_indices_\d+$',
)
RESNET = NameTable((), left_out=r'fc\.')


def resnet38d_shapes() -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of :class:`ResNet38d`."""
    return shapes_of(ResNet38d)


def seam_shapes(num_classes: int = 21) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of SEAM on :class:`ResNet38d`.

    Args:
        num_classes: Classes with background.
    """
    return shapes_of(
        lambda: dict(
            backbone=ResNet38d(),
            cam_head=CAMHead(4096, num_classes, with_background=True),
            pcm=PixelCorrelation(),
        )
    )


def affinitynet_shapes() -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of AffinityNet on :class:`ResNet38d`."""
    return shapes_of(lambda: AffinityNet(dict(type='ResNet38d')))


def irn_shapes() -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of IRN's boundary branch on a ResNet-50."""
    return shapes_of(lambda: IRNBoundary(dict(type='ResNetWithStem', depth=50)))


def read_resnet38d(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read ImageNet weights of ResNet38 and return the state dict of :class:`ResNet38d`.

    Args:
        path: MXNet's ``.params`` file, a copy of it for PyTorch, or what a converter made of it.

    Raises:
        ConversionError: it is another file.
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, or more than weights.
    """
    path = Path(path)
    if path.suffix == '.params' or (path.is_file() and is_mxnet_params(path)):
        try:
            arrays = read_mxnet_params(path)
        except MXNetFileError as error:
            raise ConversionError(str(error)) from error
        weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    else:
        weights = read_torch_weights(path)
    return convert_weights(weights, RESNET38, resnet38d_shapes(), path)


def read_resnet(path: str | os.PathLike[str], depth: int) -> dict[str, Tensor]:
    """Read torchvision's ImageNet weights of a ResNet; the classifier is left out.

    They fit MMSegmentation's ``ResNet``, :class:`ResNetWithStem` and MMPretrain's ``ResNet``,
    which share torchvision's names.

    Args:
        path: The file.
        depth: 50, 101 and others.

    Raises:
        ConversionError: and others, as of :func:`read_resnet38d`.
    """
    expected = shapes_of(lambda: ResNet(depth))
    return convert_weights(read_torch_weights(path), RESNET, expected, path)


def read_seam(path: str | os.PathLike[str]) -> Converted:
    """Read a checkpoint of the published SEAM, with any number of classes.

    Args:
        path: The file.

    Raises:
        ConversionError: and others, as of :func:`read_resnet38d`.
    """
    weights = read_torch_weights(path)
    classifier = weights.get('fc8.weight')
    num_classes = 21
    if classifier is not None and classifier.ndim == 4:
        # other data sets differ in the number of classes alone
        num_classes = max(len(classifier), 2)
    state_dict = convert_weights(weights, SEAM, seam_shapes(num_classes), path)
    return Converted(state_dict, num_classes)


def read_affinitynet(path: str | os.PathLike[str]) -> Converted:
    """Read a checkpoint of the published AffinityNet on ResNet38.

    Args:
        path: The file.

    Raises:
        ConversionError: and others, as of :func:`read_resnet38d`.
    """
    weights = read_torch_weights(path)
    return Converted(convert_weights(weights, AFFINITYNET, affinitynet_shapes(), path), 21)


def read_irn(path: str | os.PathLike[str]) -> Converted:
    """Read a checkpoint of IRN's boundary branch on ResNet-50, as SemFormer publishes it.

    Args:
        path: The file.

    Raises:
        ConversionError: and others, as of :func:`read_resnet38d`.
    """
    return Converted(convert_weights(read_torch_weights(path), IRN, irn_shapes(), path), 21)
