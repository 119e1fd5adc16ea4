"""Make pseudo masks of class activation maps or of walks, one PNG an image, on all cores."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mmengine.config import Config, DictAction

from mmwsss.datasets.class_palettes import write_mask_file
from mmwsss.engine.cam_tasks import CAMTask, find_cam_tasks, write_missing
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.engine.mask_tools import (
    add_class_options,
    add_worker_option,
    chosen_classes,
)
from mmwsss.evaluation.cam_images import read_image_and_cams
from mmwsss.evaluation.pseudo_masks import pseudo_mask
from mmwsss.models.refiners import DenseCRF

GAUSSIAN = dict(sxy=3, weight=3)
# labels: SemFormer's; probs: SEAM's
CRF = dict(
    labels=dict(
        num_iters=1,
        gt_prob=0.7,
        gaussian=GAUSSIAN,
        bilateral=dict(sxy=50, srgb=5, weight=10),
        backend='torch',
    ),
    probs=dict(
        num_iters=10,
        gaussian=GAUSSIAN,
        bilateral=dict(sxy=80, srgb=13, weight=10),
        backend='torch',
    ),
)


def add_background_options(parser: argparse.ArgumentParser) -> None:
    """Add the three ways to name the background score."""
    background = parser.add_mutually_exclusive_group()
    background.add_argument(
        '--bg-score', type=float, default=0.25, help='constant background score (0.25)'
    )
    background.add_argument(
        '--bg-alpha', type=float, metavar='A', help='background score (1 - max) ** A'
    )
    background.add_argument(
        '--ignore',
        nargs=2,
        type=float,
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
    return parser


def background_scores(args: argparse.Namespace) -> list[float | dict[str, float]]:
    """Return the one or two background scores that the command line names.

    Raises:
        UsageError: one is out of its range.
    """
    if args.bg_alpha is not None:
        if args.bg_alpha <= 0:
            raise UsageError(f'--bg-alpha must be positive, got {args.bg_alpha:g}.')
        return [dict(alpha=args.bg_alpha)]
    if args.ignore is None:
        if not 0 <= args.bg_score <= 1:
            raise UsageError(f'--bg-score must lie in 0 to 1, got {args.bg_score:g}.')
        return [args.bg_score]
    low, high = args.ignore
    if not 0 <= low < high <= 1:
        raise UsageError(f'--ignore takes LOW < HIGH, both in 0 to 1, got {low:g} {high:g}.')
    return [low, high]


def crf_settings(args: argparse.Namespace) -> dict[str, Any] | None:
    """Return the settings of the CRF, None without one.

    Raises:
        UsageError: there is no such setting, or its value is wrong.
    """
    if args.crf is None and not args.crf_config:
        return None
    kind = args.crf or 'labels'
    cfg = Config(CRF[kind])
    unknown = {key.split('.')[0] for key in args.crf_config or ()} - set(cfg.keys())
    if unknown:
        raise UsageError(
            f'--crf-config has no {", ".join(sorted(unknown))} with --crf {kind}; it has '
            f'{", ".join(sorted(cfg.keys()))}.'
        )
    try:
        cfg.merge_from_dict(args.crf_config or {})
        settings = cfg.to_dict()
        # with less than half, a label of two would be trusted less than the other
        trust = float(settings.pop('gt_prob', 0.7))
        DenseCRF(**settings)
    except (ValueError, TypeError, KeyError, ImportError) as error:
        raise UsageError(f'--crf-config: {error}') from error
    if not 0.5 < trust < 1:
        raise UsageError(f'--crf-config: gt_prob must lie between 0.5 and 1, got {trust:g}.')
    return cfg.to_dict()


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
    function = partial(
        make_mask,
        palette=chosen_classes(args).palette,
        bg_scores=background_scores(args),
        crf=crf_settings(args),
    )
    write_missing(
        function,
        find_cam_tasks(args.cam_dir, args.images, args.out_dir, '.png'),
        args.out_dir,
        overwrite=args.overwrite,
        workers=args.workers,
        description='pseudo masks',
    )


if __name__ == '__main__':
    run_tool(make_parser(), make_pseudo_masks)
