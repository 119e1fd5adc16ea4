"""Make affinity labels of class activation maps, one file an image, on all cores."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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
from mmwsss.datasets import AffinityScores
from mmwsss.datasets.affinity_files import LEVELS, SUFFIXES, write_affinity_scores
from mmwsss.datasets.class_palettes import write_mask_file
from mmwsss.datasets.masks import check_num_classes
from mmwsss.evaluation.cam_images import read_image_and_cams
from mmwsss.models.refiners import DenseCRF
from mmwsss.ops import background_stacks, combine_seed_labels, label_probs, seed_labels
from mmwsss.utils import number

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# exponents of AffinityNet's code; constants of SemFormer's, IRN's are 0.3 and 0.05
BACKGROUND = dict(psa=(4.0, 24.0), irn=(0.11, 0.15))
IRN_BILATERAL = dict(sxy=50, srgb=5, weight=10)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='make_affinity_labels.py',
        description='Make affinity labels of class activation maps, one file an image. A run that '
        'was stopped goes on where it was: an image whose file is there is left out.',
    )
    parser.add_argument('cam_dir', help='folder of maps, .npz files of tools/make_cams.py')
    parser.add_argument('--images', required=True, help='folder of the images, subfolders too')
    parser.add_argument('--out-dir', required=True, help='folder for the files')
    parser.add_argument(
        '--style',
        required=True,
        choices=list(SUFFIXES),
        help='psa: scores for AffinityNet (.npz); irn: label maps for IRN (.png)',
    )
    parser.add_argument(
        '--background',
        nargs=2,
        type=number(float, 0),
        metavar=('A', 'B'),
        help='psa: exponents of the background score, for the trusted foreground and for the '
        'trusted background (4 24); irn: constant background scores for the same two (0.11 0.15)',
    )
    parser.add_argument(
        '--num-classes', type=number(int, 2, 255), help='check the maps: classes with background'
    )
    parser.add_argument(
        '--crf-backend',
        default='torch',
        choices=['torch', 'pydensecrf'],
        help='what refines the labels (torch)',
    )
    parser.add_argument('--overwrite', action='store_true', help='make existing files again')
    add_worker_option(parser)
    add_share_option(parser)
    return parser


def psa_scores(
    image: Tensor, keys: NDArray[np.int64], cams: Tensor, crf: DenseCRF, alphas: Sequence[float]
) -> AffinityScores:
    """Refine the maps with either background exponent.

    Source: Ahn and Kwak, CVPR 2018, Sec. 3.2.1, https://arxiv.org/abs/1803.10464

    Args:
        alphas: A low one gives the background much, a high one little.

    Shapes:
        image: ``(3, H, W)`` uint8 RGB.
        cams: ``(n, H, W)`` float32.
    """
    probs = background_stacks(cams, [dict(alpha=alpha) for alpha in alphas])
    if len(keys):  # else there is nothing to decide
        kernels = crf.kernels(image[None])
        probs = torch.cat([crf.refine(kernels, scores[None]) for scores in probs])
    low, high = (probs * LEVELS).round().to(torch.uint8).numpy()
    return AffinityScores(keys, low, high)


def irn_label(
    image: Tensor, keys: NDArray[np.int64], cams: Tensor, crf: DenseCRF, scores: Sequence[float]
) -> NDArray[np.uint8]:
    """Refine the label maps of either background score, and keep what both agree on.

    Shapes:
        image: ``(3, H, W)`` uint8 RGB.
        cams: ``(n, H, W)`` float32.
    """
    check_num_classes(int(keys.max(initial=0)) + 2, 'affinity labels of IRN')
    seeds = seed_labels(cams, scores)
    if len(keys):
        kernels = crf.kernels(image[None])
        probs = [label_probs(seed[None], len(keys) + 1) for seed in seeds]
        seeds = torch.cat([crf.refine(kernels, p).argmax(dim=1) for p in probs])
    classes = torch.from_numpy(np.concatenate([[0], keys + 1]))
    return combine_seed_labels(*classes[seeds]).numpy()


def make_file(
    task: CAMTask,
    *,
    style: str,
    background: Sequence[float],
    num_classes: int | None = None,
    backend: str = 'torch',
) -> None:
    """Make and write the label of an image.

    Raises:
        CAMFileError: the maps cannot be used, or have another size than the image.
        ImageFileError: the image cannot be read.
    """
    rgb, keys, cams = read_image_and_cams(task.image, task.cam, num_classes)
    arguments = rgb, keys, cams
    if style == 'psa':
        crf = DenseCRF(backend=backend)
        write_affinity_scores(task.out, psa_scores(*arguments, crf, background))
    else:
        crf = DenseCRF(bilateral=IRN_BILATERAL, backend=backend)
        write_mask_file(task.out, irn_label(*arguments, crf, background))


def make_affinity_labels(args: argparse.Namespace) -> None:
    """Make what is missing, and say how many files that were."""
    tasks = find_cam_tasks(args.cam_dir, args.images, args.out_dir, SUFFIXES[args.style])
    function = partial(
        make_file,
        style=args.style,
        background=args.background or BACKGROUND[args.style],
        num_classes=args.num_classes,
        backend=args.crf_backend,
    )
    write_missing(
        function,
        take_share(tasks, args.share),
        args.out_dir,
        overwrite=args.overwrite,
        workers=args.workers,
        description='affinity labels',
    )


if __name__ == '__main__':
    run_tool(make_parser(), make_affinity_labels)
