"""Compare a folder of masks with another one: mIoU, and each class's share of it."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from mmwsss.datasets import image_id
from mmwsss.datasets.image_level_dataset import read_split
from mmwsss.datasets.label_readers import short_list
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.engine.mask_tools import (
    add_class_options,
    add_worker_option,
    chosen_classes,
    work_through,
)
from mmwsss.evaluation.mask_scores import count_files, figures_table, mask_figures
from mmwsss.utils import atomic_write


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='eval_masks.py',
        description='Compare index masks (PNG) with the true ones of the same names. Pixels whose '
        'truth is 255 are left out; a predicted 255 is no class and counts as missed.',
    )
    parser.add_argument('pred_dir', help='folder of the masks')
    parser.add_argument('gt_dir', help='folder of the true masks')
    add_class_options(parser)
    parser.add_argument(
        '--split',
        metavar='FILE',
        help='file with one name a line (default: all; both folders then hold the same names)',
    )
    add_worker_option(parser)
    parser.add_argument('--out', metavar='JSON', help='write the figures into this file, too')
    return parser


def list_masks(folder: str) -> dict[str, str]:
    """Return the masks of a folder by the name of the image.

    Raises:
        UsageError: there is none.
    """
    found = {path.stem: str(path) for path in sorted(Path(folder).glob('[!.]*.png'))}
    if not found:
        raise UsageError(f'{folder} holds no masks (.png); check the path.')
    return found


def find_names(args: argparse.Namespace) -> list[str] | None:
    """Return the names of the split, None without one.

    Raises:
        UsageError: the file is missing or empty, or names an image twice.
    """
    if args.split is None:
        return None
    try:
        names = [image_id(line) for line, _ in read_split(args.split)]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f'--split {args.split} cannot be read; give a text file with the name of one image a '
            'line.'
        ) from error
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice or not names:
        problem = f'{short_list(twice)} twice' if twice else 'no image'
        raise UsageError(
            f'--split {args.split} names {problem}; give a file with the name of one image a line, '
            'each once.'
        )
    return names


def find_pairs(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the paths of predicted and true masks.

    Raises:
        UsageError: a partner is missing.
    """
    names = find_names(args)
    preds, targets = list_masks(args.pred_dir), list_masks(args.gt_dir)
    wanted = names or sorted(preds | targets)
    for folder, there in ((args.pred_dir, preds), (args.gt_dir, targets)):
        missing = [name for name in wanted if name not in there]
        if missing:
            raise UsageError(
                f'{folder} lacks {len(missing)} of {len(wanted)} masks ({short_list(missing)}): '
                f'{"make them" if names else "make them, or name the images with --split"}.'
            )
    return [(preds[name], targets[name]) for name in wanted]


def eval_masks(args: argparse.Namespace) -> None:
    """Print the figures, and write them where asked."""
    classes = chosen_classes(args).classes
    pairs = find_pairs(args)
    function = partial(count_files, num_classes=len(classes))
    counts = np.zeros((3, len(classes)), np.int64)
    for count in work_through(function, pairs, workers=args.workers, description='masks'):
        counts += count
    figures = dict(pairs=len(pairs), **mask_figures(counts, classes))
    print(figures_table(figures))
    absent = int((counts[1:].sum(axis=0) == 0).sum())
    if absent:
        print(
            f'{absent} classes occur in neither folder and count as 0; without them mIoU is '
            f'{figures["mIoU_present"]}.'
        )
    if figures['undecided']:
        print(f'{figures["undecided"]} % of the pixels have no class (255) and count as missed.')
    words = ', '.join(f'{key} {figures[key]}' for key in ('mIoU', 'm_FP', 'm_FN'))
    print(f'{len(pairs)} pairs of masks: {words}')
    if args.out:
        try:
            with atomic_write(args.out, 'w') as file:
                json.dump(figures, file, indent=2)
                file.write('\n')
        except OSError as error:
            raise UsageError(
                f'--out {args.out} cannot be written ({error.strerror or error}); name another '
                'file.'
            ) from error


if __name__ == '__main__':
    run_tool(make_parser(), eval_masks)
