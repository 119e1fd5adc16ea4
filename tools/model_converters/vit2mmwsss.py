"""Convert ImageNet weights of ViT or DeiT into weights for the backbone ``TokenViT``."""

from __future__ import annotations

import argparse
from functools import partial

from mmwsss.engine.converter_tools import convert_checkpoint, converter_parser
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.models.converters.vit import read_token_vit


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = converter_parser(
        'Convert ImageNet weights of ViT or DeiT for the backbone TokenViT.',
        src_help='checkpoint of DeiT (distilled or not), timm or MMPretrain, .pth',
    )
    parser.add_argument(
        '--class-tokens',
        type=int,
        default=0,
        metavar='T',
        help='num_class_tokens of the backbone; each becomes the class token of the file, with its '
        'position (default: 0, patch tokens alone)',
    )
    return parser


def main(args: argparse.Namespace) -> None:
    """Convert, and say how to use the result."""
    if args.class_tokens < 0:
        raise UsageError(f'--class-tokens must be at least 0, got {args.class_tokens}.')
    read = partial(read_token_vit, num_class_tokens=args.class_tokens)
    settings = convert_checkpoint(args, read).settings
    texts = [f'{key}={value}' for key, value in settings.items() if key != 'img_size']
    print(
        f'{args.dst}: ViT for images of {settings["img_size"]} written; use it as backbone=dict('
        f'type="TokenViT", {", ".join(texts)}, init_cfg=dict(type="Pretrained", '
        f'checkpoint="{args.dst}")); other values of img_size resize its positions.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
