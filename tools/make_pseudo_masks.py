"""Make pseudo masks of class activation maps or of walks, one PNG an image, on all cores."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mmwsss.cli.cam_tasks import (
    CAMTask,
    add_share_option,
    find_cam_tasks,
    take_share,
    write_missing,
)
from mmwsss.cli.launch import run_tool
from mmwsss.cli.mask_settings import CRF, background_scores, crf_settings
from mmwsss.cli.mask_tools import (
    add_class_options,
    add_worker_option,
    chosen_classes,
)
from mmwsss.datasets.class_palettes import write_mask_file
from mmwsss.evaluation.background_threshold import RULES, automatic_background_score
from mmwsss.evaluation.cam_images import read_image_and_cams
from mmwsss.evaluation.pseudo_masks import pseudo_mask
from mmwsss.models.refiners import DenseCRF
from mmwsss.utils import number

from mmengine.config import DictAction


def background_word(word: str) -> float | str:
    """Return a background score, or the name of a rule.

    Args:
        word: Of the command line.

    Raises:
        ValueError: it is neither.
    """
    return word if word in RULES else number(float, 0, 1)(word)


def add_background_options(parser: argparse.ArgumentParser) -> None:
    """Add the three ways to name the background score."""
    background = parser.add_mutually_exclusive_group()
    background.add_argument(
        '--bg-score',
        type=background_word,
        default=0.25,
        metavar='SCORE',
        help="constant background score (0.25); 'otsu' and 'multi-otsu' take the one that splits "
        'the scores of all maps into two groups, or the upper one of three',
    )
    background.add_argument(
        '--bg-alpha', type=number(float, 0), metavar='A', help='background score (1 - max) ** A'
    )
    background.add_argument(
        '--ignore',
        nargs=2,
        type=number(float, 0, 1),
        metavar=('LOW', 'HIGH'),
        help='two constants: class above HIGH, background below LOW, 255 between them',
    )


def add_crf_options(parser: argparse.ArgumentParser) -> None:
    """Add the kind and the settings of the CRF."""
    parser.add_argument(
        '--crf',
        nargs='?',
        const='labels',
        choices=list(CRF),
        help='refine by dense CRF, from the labels (default) or from the scores',
    )
    parser.add_argument(
        '--crf-config',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change its settings: num_iters=10 bilateral.sxy=80 gt_prob=0.9 '
        'backend=pydensecrf; implies --crf',
    )


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='make_pseudo_masks.py',
        description='Make palette masks of class activation maps or of random walks. A run that '
        'was stopped goes on where it was: an image whose mask is there is left out.',
    )
    parser.add_argument(
        'cam_dir', help='folder of .npz files of tools/make_cams.py or tools/make_walks.py'
    )
    parser.add_argument('--images', required=True, help='folder of the images, subfolders too')
    parser.add_argument('--out-dir', required=True, help='folder for the masks')
    add_background_options(parser)
    add_crf_options(parser)
    add_class_options(parser)
    parser.add_argument('--overwrite', action='store_true', help='make existing masks again')
    add_worker_option(parser)
    add_share_option(parser)
    return parser


def make_mask(
    task: CAMTask,
    *,
    palette: Sequence[Sequence[int]],
    bg_scores: Sequence[float | Mapping[str, float]],
    crf: Mapping[str, Any] | None = None,
) -> None:
    """Make and write the mask of an image.

    Args:
        task: Its files.
        palette: One colour a class.
        bg_scores: As :func:`~mmwsss.evaluation.pseudo_masks.pseudo_mask` takes them.
        crf: Arguments of ``DenseCRF`` and, to start from labels, ``gt_prob``.

    Raises:
        CAMFileError: the maps cannot be used, or have another size than the image.
        ImageFileError: the image cannot be read.
        MaskError: the mask cannot be written.
    """
    image, keys, cams = read_image_and_cams(task.image, task.cam, len(palette))
    settings = dict(crf or {})
    gt_prob = settings.pop('gt_prob', None)
    refiner = DenseCRF(**settings) if settings else None
    mask = pseudo_mask(image, keys, cams, bg_scores=bg_scores, crf=refiner, gt_prob=gt_prob)
    write_mask_file(task.out, mask, palette)


def make_pseudo_masks(args: argparse.Namespace) -> None:
    """Make what is missing, and say how many masks that were."""
    settings = dict(
        palette=chosen_classes(args).palette, crf=crf_settings(args.crf, args.crf_config)
    )
    # all maps decide, also where a share of the masks is made or some are there
    tasks = find_cam_tasks(args.cam_dir, args.images, args.out_dir, '.png')
    bg_scores = background_scores(args.bg_score, args.bg_alpha, args.ignore)
    rule = args.bg_score
    if bg_scores == [rule] and rule in RULES:
        bg_scores = [automatic_background_score((task.cam for task in tasks), rule)]
        print(f'Background score {bg_scores[0]:g} ({rule}, {len(tasks)} maps).')
    function = partial(make_mask, bg_scores=bg_scores, **settings)
    write_missing(
        function,
        take_share(tasks, args.share),
        args.out_dir,
        overwrite=args.overwrite,
        workers=args.workers,
        description='pseudo masks',
    )


if __name__ == '__main__':
    run_tool(make_parser(), make_pseudo_masks)
