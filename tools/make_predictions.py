"""Write the masks that a segmentation model predicts for a split, one PNG an image."""

from __future__ import annotations

import argparse

from mmwsss.cli.launch import add_common_options, check_checkpoint, load_config, run_tool
from mmwsss.cli.model_files import add_writing_options, set_views, set_writer, write_files
from mmwsss.datasets import MaskError
from mmwsss.errors import UsageError


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='make_predictions.py',
        description='Write the masks that a segmentation model predicts, in the colours of the '
        'classes. True masks are not opened, and need not exist. A run that was stopped goes on '
        'where it was: an image whose file is there is left out.',
    )
    add_writing_options(parser)
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_common_options(parser)
    return parser


def make_predictions(args: argparse.Namespace) -> None:
    """Write what is missing, and say how many files that were."""
    cfg = load_config(args)
    check_checkpoint(args.checkpoint)
    if args.tta:
        set_views(cfg, 'leave out --tta')
    set_writer(cfg, args, dict(type='MaskMetric', output_dir=args.out_dir, format_only=True))
    try:
        write_files(cfg, args, suffix='.png')
    except MaskError as error:
        raise UsageError(str(error)) from error


if __name__ == '__main__':
    run_tool(make_parser(), make_predictions)
