"""Make maps follow the colours of their images, one file an image, on all cores."""

from __future__ import annotations

import argparse
from functools import partial

from mmwsss.cli.cam_tasks import (
    CAMTask,
    add_share_option,
    find_cam_tasks,
    take_share,
    write_missing,
)
from mmwsss.cli.launch import run_tool
from mmwsss.cli.mask_tools import add_worker_option
from mmwsss.errors import UsageError
from mmwsss.evaluation import write_cam_file
from mmwsss.evaluation.cam_images import read_image_and_cams
from mmwsss.evaluation.pseudo_masks import refine_cams
from mmwsss.models.refiners import PAR

from mmengine.config import DictAction


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='refine_maps.py',
        description='Refine maps by pixel-adaptive refinement (PAR). A run that was stopped goes '
        'on where it was: an image whose file is there is left out.',
    )
    parser.add_argument(
        'cam_dir', help='folder of .npz files of tools/make_cams.py or tools/make_walks.py'
    )
    parser.add_argument('--images', required=True, help='folder of the images, subfolders too')
    parser.add_argument('--out-dir', required=True, help='folder for the refined maps')
    parser.add_argument(
        '--par-config',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change its settings: num_iters=5 dilations=[1,2,4,8]',
    )
    parser.add_argument('--overwrite', action='store_true', help='make existing files again')
    add_worker_option(parser)
    add_share_option(parser)
    return parser


def refine(task: CAMTask, *, par: PAR) -> None:
    """Refine and write the maps of an image.

    Args:
        task: Its files.
        par: The refinement.

    Raises:
        CAMFileError: the maps cannot be used, or have another size than the image.
        ImageFileError: the image cannot be read.
        OSError: a file is missing, or cannot be written.
    """
    image, keys, cams = read_image_and_cams(task.image, task.cam)
    write_cam_file(task.out, keys, refine_cams(image, cams, par).numpy())


def refine_maps(args: argparse.Namespace) -> None:
    """Refine what is missing, and say how many files that were."""
    settings = args.par_config or {}
    try:
        par = PAR(**settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f'--par-config {settings}: {error}') from error
    tasks = find_cam_tasks(args.cam_dir, args.images, args.out_dir, '.npz')
    write_missing(
        partial(refine, par=par),
        take_share(tasks, args.share),
        args.out_dir,
        overwrite=args.overwrite,
        workers=args.workers,
        description='refined maps',
    )


if __name__ == '__main__':
    run_tool(make_parser(), refine_maps)
