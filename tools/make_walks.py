"""Spread the maps of a split along the affinities of AffinityNet or IRN, one file an image."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mmwsss.cli.launch import add_common_options, check_checkpoint, load_config, run_tool
from mmwsss.cli.model_files import add_writing_options, set_writer, write_files
from mmwsss.datasets import image_id
from mmwsss.errors import UsageError
from mmwsss.evaluation import CAMFileError
from mmwsss.evaluation.cam_files import DTYPES, cam_file_name
from mmwsss.utils import short_list

from mmengine.config import Config


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='make_walks.py',
        description='Spread class activation maps along the affinities of AffinityNet or IRN by a '
        'random walk, and write them as files of maps. A run that was stopped goes on where it '
        'was: an image whose file is there is left out.',
    )
    add_writing_options(parser)
    parser.add_argument(
        '--cams', required=True, help='folder of maps, .npz files of tools/make_cams.py'
    )
    parser.add_argument('--dtype', default='float16', choices=list(DTYPES), help='(float16)')
    add_common_options(parser)
    return parser


def set_walking(cfg: Config, args: argparse.Namespace) -> None:
    """Turn a config of affinities into one that walks.

    Args:
        cfg: Config, changed in place.
        args: The command line.

    Raises:
        UsageError: the config has no settings of a walk, or a folder is not right.
    """
    if not cfg.get('walk'):
        raise UsageError(
            f"The config {cfg.filename} has no walk: add walk=dict(type='CAMWalk', ...), or take a "
            'config of configs/affinitynet or configs/irn.'
        )
    if not os.path.isdir(args.cams):
        raise UsageError(f'There is no folder {args.cams}; make it with tools/make_cams.py.')
    if Path(args.cams).resolve() == Path(args.out_dir).resolve():
        raise UsageError(f'--out-dir {args.out_dir} is the folder of the maps; choose another one.')
    writer = dict(
        type='WalkWriter',
        out_dir=args.out_dir,
        cam_dir=args.cams,
        walk=cfg.walk,
        dtype=args.dtype,
    )
    set_writer(cfg, args, writer)


def check_maps(paths: Sequence[str], cam_dir: str) -> None:
    """Make sure that every image has maps before the first one walks.

    Raises:
        UsageError: images have none.
    """
    there = set(os.listdir(cam_dir))
    names = [image_id(path) for path in paths]
    missing = [name for name in names if cam_file_name(name) not in there]
    if missing:
        raise UsageError(
            f'{cam_dir} lacks the maps of {len(missing)} of {len(names)} images '
            f'({short_list(missing)}): make them with tools/make_cams.py, or name their --split.'
        )


def make_walks(args: argparse.Namespace) -> None:
    """Write what is missing, and say how many files that were."""
    cfg = load_config(args)
    check_checkpoint(args.checkpoint)
    set_walking(cfg, args)
    try:
        write_files(cfg, args, check=partial(check_maps, cam_dir=args.cams))
    except CAMFileError as error:
        raise UsageError(str(error)) from error


if __name__ == '__main__':
    run_tool(make_parser(), make_walks)
