"""Convert a published SEAM checkpoint into one for ``configs/seam/seam_r38_voc.py``."""

from __future__ import annotations

import argparse

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser, dataset_name
from mmwsss.engine.launch import run_tool
from mmwsss.models.converters.convolutional import read_seam


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert a checkpoint of the published SEAM (resnet38_SEAM.pth) for '
        'configs/seam/seam_r38_voc.py.'
    )


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    num_classes = convert_checkpoint(args, read_seam).num_classes
    config = f'seam_r38_{dataset_name(num_classes)}.py'
    print(
        f'{args.dst}: SEAM with {num_classes} classes written; use it as tools/test.py '
        f'configs/seam/{config} {args.dst}, or as load_from="{args.dst}" to train on.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
