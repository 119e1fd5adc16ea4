"""Convert a published MCTformer checkpoint for the configs in ``configs/mctformer``."""

from __future__ import annotations

import argparse
from typing import Any

from mmwsss.cli.converter_tools import convert_checkpoint, converter_parser, dataset_name
from mmwsss.cli.launch import run_tool
from mmwsss.models.converters.mctformer import read_mctformer

WIDTH = 384  # of DeiT-S
SIDES = dict(v1=224, v2=224, plus=448)  # of the configs


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert a checkpoint of the published MCTformer V1, V2 or + on DeiT-S, or on another '
        'DeiT, for the configs in configs/mctformer.'
    )


def options(settings: dict[str, Any]) -> str:
    """Say what to set where the backbone is not the one of the config."""
    backbone, texts = settings['backbone'], []
    if backbone['embed_dims'] != WIDTH:
        texts += [f'embed_dims={backbone["embed_dims"]}', f'num_heads={backbone["num_heads"]}']
    usual = dict(num_layers=12, patch_size=16, img_size=SIDES[settings['version']])
    texts += [f'{key}={backbone[key]}' for key, value in usual.items() if backbone[key] != value]
    if not texts:
        return ''
    return f' --cfg-options {" ".join(f"model.backbone.{text}" for text in texts)}'


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    _, num_classes, settings = convert_checkpoint(args, read_mctformer)
    network = f'mctformer-{settings["version"]}'
    config = f'{network}_deit-s_{dataset_name(num_classes)}.py'
    print(
        f'{args.dst}: {network} with {num_classes} classes written; use it as tools/test.py '
        f'configs/mctformer/{config} {args.dst} --tta{options(settings)}.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
