"""Convert a published checkpoint of IRN's boundary branch for ``configs/irn/irn_r50_voc.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmwsss.cli.converter_tools import class_meta, convert_checkpoint, converter_parser
from mmwsss.cli.launch import run_tool
from mmwsss.models.converters import (
    convert_weights,
    irn_shapes,
    is_irn_copy,
    published_to_irn,
    read_torch_weights,
    save_weights,
)

CONFIG = 'configs/irn/irn_r50_voc.py'


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        "Convert a checkpoint of IRN's boundary branch on ResNet-50, as SemFormer publishes it, "
        f'for {CONFIG}.'
    )


def convert(src: Path, dst: Path) -> int:
    """Convert a file and return the number of entries written."""
    published = read_torch_weights(src)
    weights = {name: value for name, value in published.items() if not is_irn_copy(name)}
    state_dict = convert_weights(weights, published_to_irn, irn_shapes(), src)
    save_weights(state_dict, dst, source=src, meta=class_meta(21))
    return len(state_dict)


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    count = convert_checkpoint(args, convert)
    print(f'{args.dst}: boundary branch of IRN, {count} entries written; use it with {CONFIG}.')


if __name__ == '__main__':
    run_tool(make_parser(), main)
