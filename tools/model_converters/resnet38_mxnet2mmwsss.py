"""Convert ImageNet weights of ResNet38 into weights for the backbone ``ResNet38d``."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser
from mmwsss.engine.launch import run_tool
from mmwsss.models.converters import (
    ConversionError,
    convert_weights,
    is_mxnet_classifier,
    mxnet_to_published,
    published_to_resnet38d,
    read_torch_weights,
    resnet38d_shapes,
    save_weights,
)
from mmwsss.utils.mxnet_params import is_mxnet_params, read_mxnet_params

TORCH_CLASSIFIER = 'linear1000.'


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert ImageNet weights of ResNet38 for the backbone ResNet38d; MXNet is not needed.',
        src_help="MXNet's ilsvrc-cls_rna-a1_cls1000_ep-0001.params, or a copy of it for PyTorch "
        '(.pth)',
    )


def read_mxnet(path: Path) -> dict[str, Tensor]:
    """Read an MXNet file and return the backbone's weights under their published names."""
    weights = {}
    for name, array in read_mxnet_params(path).items():
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


def read_torch(path: Path) -> dict[str, Tensor]:
    """Read a PyTorch copy and return the backbone's weights under their published names."""
    weights = read_torch_weights(path)
    return {k: v for k, v in weights.items() if not k.startswith(TORCH_CLASSIFIER)}


def convert(src: Path, dst: Path) -> int:
    """Convert a file and return the number of entries written."""
    if src.suffix == '.params' or (src.is_file() and is_mxnet_params(src)):
        weights = read_mxnet(src)
    else:
        weights = read_torch(src)
    state_dict = convert_weights(weights, published_to_resnet38d, resnet38d_shapes(), src)
    save_weights(state_dict, dst, source=src)
    return len(state_dict)


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    count = convert_checkpoint(args, convert)
    print(
        f'{args.dst}: {count} entries written; use it as backbone=dict(type="ResNet38d", '
        f'init_cfg=dict(type="Pretrained", checkpoint="{args.dst}")).'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
