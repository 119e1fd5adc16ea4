"""Convert a published checkpoint of IRN's boundary branch for ``configs/irn/irn_r50_voc.py``."""

from __future__ import annotations

import argparse

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser
from mmwsss.engine.launch import run_tool
from mmwsss.models.converters.convolutional import read_irn

CONFIG = 'configs/irn/irn_r50_voc.py'


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        "Convert a checkpoint of IRN's boundary branch on ResNet-50, as SemFormer publishes it, "
        f'for {CONFIG}.'
    )


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    count = len(convert_checkpoint(args, read_irn).state_dict)
    print(f'{args.dst}: boundary branch of IRN, {count} entries written; use it with {CONFIG}.')


if __name__ == '__main__':
    run_tool(make_parser(), main)
