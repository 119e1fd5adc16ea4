"""What the tools share that compare a folder with true masks: options and output."""

from __future__ import annotations

import argparse
import json
from typing import Any

from mmwsss.cli.evaluate_folders import read_names
from mmwsss.cli.mask_tools import add_class_options, add_worker_option
from mmwsss.errors import UsageError
from mmwsss.evaluation.erosion import check_erosion
from mmwsss.evaluation.mask_scores import figures_table
from mmwsss.utils import atomic_write


def add_evaluation_options(parser: argparse.ArgumentParser) -> None:
    """Add true masks, classes, images, erosion, processes and the file of the figures.

    Args:
        parser: Parser of the tool.
    """
    parser.add_argument('gt_dir', help='folder of the true masks (PNG)')
    add_class_options(parser)
    parser.add_argument(
        '--split',
        metavar='FILE',
        help='file with one name a line (default: all; both folders then hold the same names)',
    )
    parser.add_argument(
        '--erosion',
        type=int,
        default=0,
        metavar='PIXELS',
        help='erode the predicted mask of each class by a square of this side, odd (default: 0, '
        "not; 7 for SemFormer's published figures of maps)",
    )
    add_worker_option(parser)
    parser.add_argument('--out', metavar='JSON', help='write the figures into this file, too')


def chosen_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of the comparison: images, processes and erosion.

    Args:
        args: ``split``, ``workers`` and ``erosion``.

    Raises:
        UsageError: ``--erosion`` is even, or see
            :func:`~mmwsss.cli.evaluate_folders.read_names`.
    """
    try:
        erosion = check_erosion(args.erosion)
    except ValueError as error:
        raise UsageError(f'--{error}') from error
    names = None if args.split is None else read_names(args.split)
    return dict(names=names, workers=args.workers, erosion=erosion)


def print_figures(figures: dict[str, Any], title: str) -> None:
    """Print the table of the classes, and in the last line the figures of all.

    Args:
        figures: Of a folder.
        title: What was compared, before the figures.
    """
    note = figures.get('note')
    if note:
        print(note)
    print(figures_table(figures))
    absent = sum(rates['IoU'] is None for rates in figures['classes'].values())
    if absent:
        print(
            f'{absent} classes occur in neither folder and count as 0; without them mIoU is '
            f'{figures["mIoU_present"]}.'
        )
    if figures['undecided']:
        print(f'{figures["undecided"]} % of the pixels have no class (255) and count as missed.')
    words = ', '.join(f'{key} {figures[key]}' for key in ('mIoU', 'm_FP', 'm_FN', 'FP', 'FN'))
    print(f'{title}: {words}{f" ({note})" if note else ""}')


def write_figures(path: str | None, figures: dict[str, Any]) -> None:
    """Write the figures where the command line asks for it.

    Args:
        path: ``--out``, None to write nothing.
        figures: Of a folder.

    Raises:
        UsageError: the file cannot be written.
    """
    if path is None:
        return
    try:
        with atomic_write(path, 'w') as file:
            json.dump(figures, file, indent=2)
            file.write('\n')
    except OSError as error:
        raise unwritable('--out', path, error) from error


def unwritable(option: str, path: str, error: OSError) -> UsageError:
    """Return the sentence for a file that cannot be written.

    Args:
        option: That names the file.
        path: The file.
        error: What went wrong.
    """
    return UsageError(
        f'{option} {path} cannot be written ({error.strerror or error}); name another file.'
    )
