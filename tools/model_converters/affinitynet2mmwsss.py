"""Convert a published AffinityNet checkpoint for ``configs/affinitynet/affinitynet_r38_voc.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmwsss.cli.converter_tools import class_meta, convert_checkpoint, converter_parser
from mmwsss.cli.launch import run_tool
from mmwsss.models.converters import (
    affinitynet_shapes,
    convert_weights,
    published_to_affinitynet,
    read_torch_weights,
    save_weights,
)

CONFIG = 'configs/affinitynet/affinitynet_r38_voc.py'


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        f'Convert a checkpoint of the published AffinityNet on ResNet38 (PSA, SEAM) for {CONFIG}.'
    )


def convert(src: Path, dst: Path) -> int:
    """Convert a file and return the number of entries written."""
    weights = read_torch_weights(src)
    state_dict = convert_weights(weights, published_to_affinitynet, affinitynet_shapes(), src)
    save_weights(state_dict, dst, source=src, meta=class_meta(21))
    return len(state_dict)


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    count = convert_checkpoint(args, convert)
    print(f'{args.dst}: AffinityNet, {count} entries written; use it with {CONFIG}.')


if __name__ == '__main__':
    run_tool(make_parser(), main)
