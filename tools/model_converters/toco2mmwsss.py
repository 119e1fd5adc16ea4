"""Convert a published ToCo checkpoint into one for ``configs/toco/toco_vit-b_voc.py``."""

from __future__ import annotations

import argparse
from typing import Any

from mmwsss.cli.converter_tools import convert_checkpoint, converter_parser, dataset_name
from mmwsss.cli.launch import run_tool
from mmwsss.models.converters.toco import read_toco

WIDTH = 768  # of ViT-B and DeiT-B


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert a checkpoint of the published ToCo on ViT-B or DeiT-B, or on a smaller one, for '
        'configs/toco/toco_vit-b_voc.py and its like.'
    )


def options(settings: dict[str, Any]) -> str:
    """Say what to set where the backbone is not the ViT-B of the config."""
    width, heads = (settings['backbone'][key] for key in ('embed_dims', 'num_heads'))
    if width == WIDTH:
        return ''
    parts = ('cam_head', 'auxiliary_head', 'decode_head', 'contrast_head.module')
    texts = [f'backbone.embed_dims={width}', f'backbone.num_heads={heads}']
    texts += [f'{part}.in_channels={width}' for part in parts]
    return f' --cfg-options {" ".join(f"model.{text}" for text in texts)}'


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    _, num_classes, settings = convert_checkpoint(args, read_toco)
    data = dataset_name(num_classes)
    print(
        f'{args.dst}: ToCo with {num_classes} classes written; use it as tools/test.py '
        f'configs/toco/toco_vit-b_{data}.py {args.dst}{options(settings)}.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
