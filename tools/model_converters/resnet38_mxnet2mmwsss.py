"""Convert ImageNet weights of ResNet38 into weights for the backbone ``ResNet38d``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmwsss.cli.converter_tools import convert_checkpoint, converter_parser
from mmwsss.cli.launch import run_tool
from mmwsss.models.converters import read_resnet38d, save_weights


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert ImageNet weights of ResNet38 for the backbone ResNet38d; MXNet is not needed.',
        src_help="MXNet's ilsvrc-cls_rna-a1_cls1000_ep-0001.params, or a copy of it for PyTorch "
        '(.pth)',
    )


def convert(src: Path, dst: Path) -> int:
    """Convert a file and return the number of entries written."""
    state_dict = read_resnet38d(src)
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
