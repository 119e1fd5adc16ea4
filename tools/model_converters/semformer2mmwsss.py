"""Convert a published SemFormer checkpoint for the configs in ``configs/semformer``."""

from __future__ import annotations

import argparse

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser, dataset_name
from mmwsss.engine.launch import run_tool
from mmwsss.models.converters.semformer import read_caae, read_semformer

# reader, network and config by the name of the part
PARTS = {
    'caae': (read_caae, 'class-aware auto-encoder', 'caae_deit-b'),
    'segmentor': (read_semformer, 'segmentation network', 'semformer_deit-s'),
}


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


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    read, network, config = PARTS[args.part]
    num_classes = convert_checkpoint(args, read).num_classes
    print(
        f'{args.dst}: {network} with {num_classes} classes written; it is that of '
        f'configs/semformer/{config}_{dataset_name(num_classes)}.py, where '
        f'load_from="{args.dst}" trains on.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
