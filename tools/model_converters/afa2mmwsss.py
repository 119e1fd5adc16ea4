"""Convert a published AFA checkpoint into one for ``configs/afa/afa_mit-b1_voc.py``."""

from __future__ import annotations

import argparse

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser, dataset_name
from mmwsss.engine.launch import run_tool
from mmwsss.models.converters.mit import read_afa

B1 = dict(embed_dims=64, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8])


def options(settings: dict) -> str:
    """Say what to set where the backbone is not the MiT-B1 of the config."""
    if settings == B1:
        return ''
    widths = [settings['embed_dims'] * heads for heads in settings['num_heads']]
    texts = dict(
        backbone=f'embed_dims={settings["embed_dims"]} '
        f'model.backbone.num_layers={settings["num_layers"]}',
        cam_head=f'in_channels={widths[-1]}',
        decode_head=f'in_channels={widths}',
    )
    texts = [f'model.{part}.{text}'.replace(', ', ',') for part, text in texts.items()]
    return f' --cfg-options {" ".join(texts)}'


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return converter_parser(
        'Convert a checkpoint of the published AFA on MiT-B0 to B5 for '
        'configs/afa/afa_mit-b1_voc.py.'
    )


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    _, num_classes, settings = convert_checkpoint(args, read_afa)
    print(
        f'{args.dst}: AFA with {num_classes} classes written; use it as tools/test.py '
        f'configs/afa/afa_mit-b1_{dataset_name(num_classes)}.py {args.dst}{options(settings)}.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
