"""Convert a published checkpoint of IRN's boundary branch for ``configs/irn/irn_r50_voc.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmwsss.datasets import voc_palette
from mmwsss.datasets.class_names import class_names
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.models.converters import (
    ConversionError,
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
    parser = argparse.ArgumentParser(
        description="Convert a checkpoint of IRN's boundary branch on ResNet-50, as SemFormer "
        f'publishes it, for {CONFIG}. Nothing in the file is run.'
    )
    parser.add_argument('src', help='published checkpoint, .pth')
    parser.add_argument('dst', help='file to write, .pth')
    return parser


def convert(src: Path, dst: Path) -> int:
    """Convert a file and return the number of entries written."""
    published = read_torch_weights(src)
    weights = {name: value for name, value in published.items() if not is_irn_copy(name)}
    state_dict = convert_weights(weights, published_to_irn, irn_shapes(), src)
    # of the images it was trained on; MMSegmentation's init_model asks for it
    about = {'classes': class_names(['voc']), 'palette': voc_palette(21)}
    save_weights(state_dict, dst, source=src, meta={'dataset_meta': about})
    return len(state_dict)


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    try:
        count = convert(Path(args.src), Path(args.dst))
    except (ConversionError, OSError) as error:
        raise UsageError(str(error)) from error
    print(f'{args.dst}: boundary branch of IRN, {count} entries written; use it with {CONFIG}.')


if __name__ == '__main__':
    run_tool(make_parser(), main)
