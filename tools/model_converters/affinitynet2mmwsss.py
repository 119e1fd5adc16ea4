"""Convert a published AffinityNet checkpoint for ``configs/affinitynet/affinitynet_r38_voc.py``."""

from __future__ import annotations

import argparse

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser
from mmwsss.engine.launch import run_tool
from mmwsss.models.converters.convolutional import read_affinitynet

CONFIG = 'configs/affinitynet/affinitynet_r38_voc.py'


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        f'Convert a checkpoint of the published AffinityNet on ResNet38 (PSA, SEAM) for {CONFIG}.'
    )


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    count = len(convert_checkpoint(args, read_affinitynet).state_dict)
    print(f'{args.dst}: AffinityNet, {count} entries written; use it with {CONFIG}.')


if __name__ == '__main__':
    run_tool(make_parser(), main)
