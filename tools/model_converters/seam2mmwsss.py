"""Convert a published SEAM checkpoint into one for ``configs/seam/seam_r38_voc.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmwsss.cli.converter_tools import (
    class_meta,
    convert_checkpoint,
    converter_parser,
    dataset_name,
)
from mmwsss.cli.launch import run_tool
from mmwsss.models.converters import (
    convert_weights,
    published_to_seam,
    read_torch_weights,
    save_weights,
    seam_shapes,
)

CLASSIFIER = 'fc8.weight'


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert a checkpoint of the published SEAM (resnet38_SEAM.pth) for '
        'configs/seam/seam_r38_voc.py.'
    )


def convert(src: Path, dst: Path) -> int:
    """Convert a file and return the number of its classes, background included."""
    weights = read_torch_weights(src)
    num_classes = 21
    if CLASSIFIER in weights and weights[CLASSIFIER].ndim == 4:
        # other data sets differ in the number of classes alone
        num_classes = max(len(weights[CLASSIFIER]), 2)
    state_dict = convert_weights(weights, published_to_seam, seam_shapes(num_classes), src)
    save_weights(state_dict, dst, source=src, meta=class_meta(num_classes))
    return num_classes


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    num_classes = convert_checkpoint(args, convert)
    config = f'seam_r38_{dataset_name(num_classes)}.py'
    print(
        f'{args.dst}: SEAM with {num_classes} classes written; use it as tools/test.py '
        f'configs/seam/{config} {args.dst}, or as load_from="{args.dst}" to train on.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
