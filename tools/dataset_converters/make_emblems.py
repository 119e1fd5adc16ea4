"""Draw Emblems, the data set that needs no download."""

from __future__ import annotations

import argparse
import os
from concurrent.futures.process import BrokenProcessPool

from mmwsss.cli.launch import run_tool
from mmwsss.datasets.emblems import EmblemsSettings, make_emblems
from mmwsss.datasets.emblems_shapes import EMBLEMS
from mmwsss.errors import UsageError
from mmwsss.utils import user_sentence


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    default = EmblemsSettings()
    parser = argparse.ArgumentParser(
        description='Draw Emblems in the layout of VOC: bodies whose emblem alone tells the '
        'class, with masks and image-level labels. Equal settings give equal files, however many '
        'processes draw. A run that was stopped goes on where it was; a finished data set is '
        'left alone.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('out_dir', nargs='?', default='data/emblems', help='folder of the data set')
    options: tuple[tuple[str, str], ...] = (
        ('num_train', 'images of the training split'),
        ('num_val', 'images of the validation split'),
        ('size', 'height and width in pixels'),
        ('num_classes', f'classes besides the background, 2 to {len(EMBLEMS)}'),
        ('seed', 'of everything random'),
        ('context', 'probability that the kind of background follows a class of the image'),
    )
    for name, text in options:
        value = default.num_emblems if name == 'num_classes' else getattr(default, name)
        flag = f'--{name.replace("_", "-")}'
        parser.add_argument(flag, type=type(value), default=value, help=text)
    parser.add_argument(
        '--workers', type=int, default=min(os.cpu_count() or 1, 8), help='number of processes'
    )
    return parser


def main(args: argparse.Namespace) -> None:
    """Draw what is missing, and say how much that was."""
    if args.workers < 1:
        raise UsageError(f'--workers must be at least 1, got {args.workers}.')
    try:
        settings = EmblemsSettings(
            num_train=args.num_train,
            num_val=args.num_val,
            size=args.size,
            num_emblems=args.num_classes,
            seed=args.seed,
            context=args.context,
        )
        drawn = make_emblems(args.out_dir, settings, workers=args.workers)
    except (ValueError, OSError, BrokenProcessPool) as error:
        raise UsageError(user_sentence(error) or str(error)) from error
    total = settings.num_train + settings.num_val
    print(f'{args.out_dir} holds {total} images of Emblems, {drawn} of them drawn now.')


if __name__ == '__main__':
    run_tool(make_parser(), main)
