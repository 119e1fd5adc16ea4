"""Make affinity labels of class activation maps, one file an image, on all cores."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmwsss.datasets import AffinityScores, ImageFileError, image_id
from mmwsss.datasets.affinity_files import (
    LEVELS,
    SUFFIXES,
    write_affinity_label,
    write_affinity_scores,
)
from mmwsss.datasets.image_level_folder_dataset import list_image_files
from mmwsss.datasets.label_readers import short_list
from mmwsss.datasets.transforms import decode_image
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.evaluation import CAMFileError, read_cam_file
from mmwsss.models.refiners import DenseCRF
from mmwsss.ops import alpha_scores, combine_seed_labels, label_probs, seed_labels
from mmwsss.utils import remove_stale
from mmwsss.utils.progress import track

# exponents of AffinityNet's code; constants of SemFormer's, IRN's are 0.3 and 0.05
BACKGROUND = dict(psa=(4.0, 24.0), irn=(0.11, 0.15))
IRN_BILATERAL = dict(sxy=50, srgb=5, weight=10)


class Task(NamedTuple):
    """The files of one image."""

    cam: str
    image: str
    out: str


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
        type=float,
        metavar=('A', 'B'),
        help='psa: exponents of the background score, for the trusted foreground and for the '
        'trusted background (4 24); irn: constant background scores for the same two (0.11 0.15)',
    )
    parser.add_argument('--num-classes', type=int, help='check the maps: classes with background')
    parser.add_argument(
        '--crf-backend',
        default='torch',
        choices=['torch', 'pydensecrf'],
        help='what refines the labels (torch)',
    )
    parser.add_argument('--overwrite', action='store_true', help='make existing files again')
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count() or 1,
        help='number of processes (default: one a core)',
    )
    return parser


def psa_scores(
    image: Tensor, keys: NDArray[np.int64], cams: Tensor, crf: DenseCRF, alphas: Sequence[float]
) -> AffinityScores:
    """Refine the maps with either background exponent.

    Shapes:
        image: ``(3, H, W)`` uint8 RGB.
        cams: ``(n, H, W)`` float32.
    """
    probs = alpha_scores(cams, alphas)
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
    seeds = seed_labels(cams, scores)
    if len(keys):
        kernels = crf.kernels(image[None])
        probs = [label_probs(seed[None], len(keys) + 1) for seed in seeds]
        seeds = torch.cat([crf.refine(kernels, p).argmax(dim=1) for p in probs])
    classes = torch.from_numpy(np.concatenate([[0], keys + 1]))
    return combine_seed_labels(*classes[seeds]).numpy()


def make_file(
    task: Task,
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
    keys, cams = read_cam_file(task.cam, num_classes)
    image = decode_image(Path(task.image).read_bytes(), task.image)
    if cams.shape[1:] != image.shape[:2]:
        raise CAMFileError(
            f'{task.cam}: the maps are {cams.shape[2]} x {cams.shape[1]} where the image '
            f'{task.image} is {image.shape[1]} x {image.shape[0]}: give the images that the maps '
            'were made of.'
        )
    rgb = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())
    arguments = rgb, keys, torch.from_numpy(cams).float()
    if style == 'psa':
        crf = DenseCRF(backend=backend)
        write_affinity_scores(task.out, psa_scores(*arguments, crf, background))
    else:
        crf = DenseCRF(bilateral=IRN_BILATERAL, backend=backend)
        write_affinity_label(task.out, irn_label(*arguments, crf, background))


def find_images(folder: str, wanted: Sequence[str]) -> dict[str, str]:
    """Return the path of each wanted image.

    Raises:
        UsageError: an image is missing, or there are several of that name.
    """
    found: dict[str, list[str]] = {name: [] for name in wanted}
    for path in list_image_files(folder):
        if (name := image_id(path)) in found:
            found[name].append(os.path.join(folder, path))
    missing = [name for name, paths in found.items() if not paths]
    if missing:
        raise UsageError(
            f'{folder} lacks the images of {len(missing)} of {len(wanted)} files of maps '
            f'({short_list(missing)}): give --images the folder that the maps were made of.'
        )
    for paths in found.values():
        if len(paths) > 1:
            raise UsageError(f'{paths[0]} and {paths[1]} have the same name: rename one.')
    return {name: paths[0] for name, paths in found.items()}


def find_tasks(args: argparse.Namespace) -> list[Task]:
    """Return the files of all images that have maps.

    Raises:
        UsageError: there are no maps, or images are missing.
    """
    cam_dir, out_dir = Path(args.cam_dir), Path(args.out_dir)
    if out_dir.resolve() == cam_dir.resolve():
        raise UsageError(f'--out-dir {out_dir} is the folder of the maps; choose another one.')
    cams = {path.stem: path for path in sorted(cam_dir.glob('[!.]*.npz'))}
    if not cams:
        raise UsageError(
            f'{cam_dir} holds no maps (.npz): make them with tools/make_cams.py --out-dir.'
        )
    images = find_images(args.images, list(cams))
    return [
        Task(str(cam), images[name], str(out_dir / (name + SUFFIXES[args.style])))
        for name, cam in cams.items()
    ]


def make_affinity_labels(args: argparse.Namespace) -> None:
    """Make what is missing, and say how many files that were."""
    if args.workers < 1:
        raise UsageError(f'--workers must be at least 1, got {args.workers}.')
    tasks = find_tasks(args)
    remove_stale(args.out_dir)
    todo = [task for task in tasks if args.overwrite or not os.path.exists(task.out)]
    function = partial(
        make_file,
        style=args.style,
        background=args.background or BACKGROUND[args.style],
        num_classes=args.num_classes,
        backend=args.crf_backend,
    )
    # the processes share the cores, and each would start a thread on every one
    torch.set_num_threads(1)
    try:
        for _ in track(function, todo, workers=args.workers, description='affinity labels'):
            pass
    except (CAMFileError, ImageFileError, ImportError, OSError, BrokenProcessPool) as error:
        raise UsageError(str(error)) from error
    kept = len(tasks) - len(todo)
    note = f', {kept} were there already (--overwrite makes them again)' if kept else ''
    print(f'{len(todo)} files written to {args.out_dir}{note}.')


if __name__ == '__main__':
    run_tool(make_parser(), make_affinity_labels)
