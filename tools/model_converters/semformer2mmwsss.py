"""Convert a published SemFormer checkpoint for the configs in ``configs/semformer``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from mmwsss.datasets import voc_palette
from mmwsss.datasets.class_names import class_names
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.models.converters import (
    ConversionError,
    caae_settings,
    caae_shapes,
    convert_weights,
    is_unused_in_caae,
    published_to_caae,
    read_torch_weights,
    save_weights,
)

DATA_SETS = {21: 'voc', 81: 'coco'}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a checkpoint of the published SemFormer for the configs in '
        'configs/semformer. Nothing in the file is run.'
    )
    parser.add_argument('src', help='published checkpoint, .pth')
    parser.add_argument('dst', help='file to write, .pth')
    parser.add_argument(
        '--part',
        choices=sorted(PARTS),
        required=True,
        help='which network it is of: caae, the class-aware auto-encoder',
    )
    return parser


def save(state_dict: dict, dst: Path, src: Path, num_classes: int) -> None:
    """Save weights, with names and colours of the classes where they are known."""
    meta = {}
    if num_classes in DATA_SETS:
        # what MMSegmentation's inferencers show; without it they take Cityscapes' classes
        classes = class_names([DATA_SETS[num_classes]])
        meta['dataset_meta'] = {'classes': classes, 'palette': voc_palette(num_classes)}
    save_weights(state_dict, dst, source=src, meta=meta)


def convert_caae(src: Path, dst: Path) -> str:
    """Convert a class-aware auto-encoder; return what was written and for which config."""
    published = read_torch_weights(src)
    weights = {name: x for name, x in published.items() if not is_unused_in_caae(name)}
    settings = caae_settings(weights)
    state_dict = convert_weights(weights, published_to_caae, caae_shapes(settings), src)
    num_classes = settings['embed_head']['num_classes']
    save(state_dict, dst, src, num_classes)
    config = f'caae_deit-b_{DATA_SETS.get(num_classes, "voc")}.py'
    # other data sets differ in the number of classes alone
    return f'class-aware auto-encoder with {num_classes} classes', config


PARTS: dict[str, Callable[[Path, Path], tuple[str, str]]] = {'caae': convert_caae}


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    try:
        what, config = PARTS[args.part](Path(args.src), Path(args.dst))
    except (ConversionError, OSError) as error:
        raise UsageError(str(error)) from error
    print(
        f'{args.dst}: {what} written; it is that of configs/semformer/{config}, where '
        f'load_from="{args.dst}" trains on.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
