"""Convert a published SemFormer checkpoint for the configs in ``configs/semformer``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from mmwsss.cli.converter_tools import (
    class_meta,
    convert_checkpoint,
    converter_parser,
    dataset_name,
)
from mmwsss.cli.launch import run_tool
from mmwsss.models.converters import (
    caae_settings,
    caae_shapes,
    convert_weights,
    is_unused_in_caae,
    is_unused_in_semformer,
    published_semantics,
    published_to_caae,
    published_to_semformer,
    read_torch_weights,
    save_weights,
    semformer_settings,
    semformer_shapes,
)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = converter_parser(
        'Convert a checkpoint of the published SemFormer for the configs in configs/semformer.'
    )
    parser.add_argument(
        '--part',
        choices=sorted(PARTS),
        required=True,
        help='which network it is of: caae, the class-aware auto-encoder, or segmentor',
    )
    return parser


def convert_caae(src: Path, dst: Path) -> tuple[str, str]:
    """Convert a class-aware auto-encoder; return what was written and for which config."""
    published = read_torch_weights(src)
    weights = {name: x for name, x in published.items() if not is_unused_in_caae(name)}
    settings = caae_settings(weights)
    state_dict = convert_weights(weights, published_to_caae, caae_shapes(settings), src)
    num_classes = settings['embed_head']['num_classes']
    save_weights(state_dict, dst, source=src, meta=class_meta(num_classes))
    config = f'caae_deit-b_{dataset_name(num_classes)}.py'
    return f'class-aware auto-encoder with {num_classes} classes', config


def convert_segmentor(src: Path, dst: Path) -> tuple[str, str]:
    """Convert a segmentation network; return what was written and for which config."""
    published = read_torch_weights(src)
    weights = {name: x for name, x in published.items() if not is_unused_in_semformer(name)}
    settings = semformer_settings(weights)
    expected = semformer_shapes(settings)
    state_dict = convert_weights(weights, published_to_semformer, expected, src)
    state_dict.update(published_semantics(published, settings))
    num_classes = settings['cam_head']['num_classes']
    save_weights(state_dict, dst, source=src, meta=class_meta(num_classes))
    config = f'semformer_deit-s_{dataset_name(num_classes)}.py'
    return f'segmentation network with {num_classes} classes', config


PARTS: dict[str, Callable[[Path, Path], tuple[str, str]]] = {
    'caae': convert_caae,
    'segmentor': convert_segmentor,
}


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    what, config = convert_checkpoint(args, PARTS[args.part])
    print(
        f'{args.dst}: {what} written; it is that of configs/semformer/{config}, where '
        f'load_from="{args.dst}" trains on.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
