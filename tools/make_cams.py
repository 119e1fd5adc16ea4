"""Write the class activation maps of a split, one file an image, on any number of processes."""

from __future__ import annotations

import argparse

from mmwsss.cli.launch import add_common_options, check_checkpoint, load_config, run_tool
from mmwsss.cli.model_files import add_writing_options, set_views, set_writer, write_files
from mmwsss.evaluation.cam_files import DTYPES, SUFFIXES

from mmengine.config import Config


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='make_cams.py',
        description='Write the class activation maps of a split, one file an image. A run that '
        'was stopped goes on where it was: an image whose file is there is left out.',
    )
    add_writing_options(parser)
    parser.add_argument(
        '--format',
        default='npz',
        choices=list(SUFFIXES),
        help="layout of the files, this project's (npz) or that of IRN or PSA; one layout a "
        'folder (npz)',
    )
    parser.add_argument(
        '--dtype', default='float16', choices=list(DTYPES), help='of maps in npz files (float16)'
    )
    parser.add_argument(
        '--single-scale', action='store_true', help='one view of each image, not those of TTA'
    )
    add_common_options(parser)
    return parser


def set_writing(cfg: Config, args: argparse.Namespace) -> None:
    """Turn a config that evaluates into one that writes maps.

    Args:
        cfg: Config, changed in place.
        args: The command line.
    """
    # masks, of a decoder or of patch scores, are no maps
    if (cfg.model.get('test_cfg') or {}).get('output') in ('seg', 'patch'):
        cfg.model.test_cfg.output = 'cam'
    if not args.single_scale:
        set_views(cfg, 'use --single-scale')
    writer = dict(type='CAMWriter', out_dir=args.out_dir, layout=args.format, dtype=args.dtype)
    set_writer(cfg, args, writer)


def make_cams(args: argparse.Namespace) -> None:
    """Write what is missing, and say how many files that were."""
    cfg = load_config(args)
    check_checkpoint(args.checkpoint)
    set_writing(cfg, args)
    write_files(cfg, args, suffix=SUFFIXES[args.format])


if __name__ == '__main__':
    run_tool(make_parser(), make_cams)
