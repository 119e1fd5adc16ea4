"""Convert ImageNet weights of ResNet38 into weights for the backbone ``ResNet38d``."""

from __future__ import annotations

import argparse

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser
from mmwsss.engine.launch import run_tool
from mmwsss.models.converters.convolutional import read_resnet38d


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert ImageNet weights of ResNet38 for the backbone ResNet38d; MXNet is not needed.',
        src_help="MXNet's ilsvrc-cls_rna-a1_cls1000_ep-0001.params, or a copy of it for PyTorch "
        '(.pth)',
    )


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    count = len(convert_checkpoint(args, read_resnet38d).state_dict)
    print(
        f'{args.dst}: {count} entries written; use it as backbone=dict(type="ResNet38d", '
        f'init_cfg=dict(type="Pretrained", checkpoint="{args.dst}")).'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
