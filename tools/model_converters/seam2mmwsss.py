"""Convert a published SEAM checkpoint into one for ``configs/seam/seam_r38_voc.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmwsss.datasets import voc_palette
from mmwsss.datasets.class_names import class_names
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.models.converters import (
    ConversionError,
    convert_weights,
    published_to_seam,
    read_torch_weights,
    save_weights,
    seam_shapes,
)

CLASSIFIER = 'fc8.weight'
CONFIGS = {21: ('voc', 'seam_r38_voc.py'), 81: ('coco', 'seam_r38_coco.py')}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a checkpoint of the published SEAM (resnet38_SEAM.pth) for '
        'configs/seam/seam_r38_voc.py. Nothing in the file is run.'
    )
    parser.add_argument('src', help='published checkpoint, .pth')
    parser.add_argument('dst', help='file to write, .pth')
    return parser


def convert(src: Path, dst: Path) -> int:
    """Convert a file and return the number of its classes, background included."""
    weights = read_torch_weights(src)
    num_classes = 21
    if CLASSIFIER in weights and weights[CLASSIFIER].ndim == 4:
        # other data sets differ in the number of classes alone
        num_classes = max(len(weights[CLASSIFIER]), 2)
    state_dict = convert_weights(weights, published_to_seam, seam_shapes(num_classes), src)
    meta = {}
    if num_classes in CONFIGS:
        # what MMSegmentation's inferencers show; without it they take Cityscapes' classes
        classes = class_names([CONFIGS[num_classes][0]])
        meta['dataset_meta'] = {'classes': classes, 'palette': voc_palette(num_classes)}
    save_weights(state_dict, dst, source=src, meta=meta)
    return num_classes


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    try:
        num_classes = convert(Path(args.src), Path(args.dst))
    except (ConversionError, OSError) as error:
        raise UsageError(str(error)) from error
    config = CONFIGS.get(num_classes, CONFIGS[21])[1]
    print(
        f'{args.dst}: SEAM with {num_classes} classes written; use it as tools/test.py '
        f'configs/seam/{config} {args.dst}, or as load_from="{args.dst}" to train on.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
