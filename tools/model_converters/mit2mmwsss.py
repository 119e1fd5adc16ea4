"""Convert ImageNet weights of MiT into weights for the backbone ``AttentionMiT``."""

from __future__ import annotations

import argparse

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser
from mmwsss.engine.launch import run_tool
from mmwsss.models.converters.mit import mit_settings, read_mit


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert ImageNet weights of MiT for the backbones AttentionMiT and MixVisionTransformer.',
        src_help="NVIDIA's mit_b1.pth, or MMSegmentation's copy of it; B0 to B5 alike",
    )


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    settings = mit_settings(convert_checkpoint(args, read_mit).state_dict)
    print(
        f'{args.dst}: MiT with embed_dims={settings["embed_dims"]} and '
        f'num_layers={settings["num_layers"]} written; use it as backbone=dict('
        f'init_cfg=dict(type="Pretrained", checkpoint="{args.dst}")).'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
