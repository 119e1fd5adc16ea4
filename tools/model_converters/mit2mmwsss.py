"""Convert ImageNet weights of MiT into weights for the backbone ``AttentionMiT``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser
from mmwsss.engine.launch import run_tool
from mmwsss.models.converters import (
    convert_weights,
    is_mit_classifier,
    merge_mit_weights,
    mit_settings,
    mit_shapes,
    published_to_mit,
    read_torch_weights,
    save_weights,
)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert ImageNet weights of MiT for the backbones AttentionMiT and MixVisionTransformer.',
        src_help="NVIDIA's mit_b1.pth, or MMSegmentation's copy of it; B0 to B5 alike",
    )


def convert(src: Path, dst: Path) -> dict:
    """Convert a file and return the settings of its network."""
    published = read_torch_weights(src)
    weights = {name: value for name, value in published.items() if not is_mit_classifier(name)}
    settings = mit_settings(weights)
    state_dict = convert_weights(
        merge_mit_weights(weights), published_to_mit, mit_shapes(settings), src
    )
    save_weights(state_dict, dst, source=src)
    return settings


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    settings = convert_checkpoint(args, convert)
    print(
        f'{args.dst}: MiT with embed_dims={settings["embed_dims"]} and '
        f'num_layers={settings["num_layers"]} written; use it as backbone=dict('
        f'init_cfg=dict(type="Pretrained", checkpoint="{args.dst}")).'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
