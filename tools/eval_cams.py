"""Compare a folder of maps with true masks: mIoU at the best background score, and the curve."""

from __future__ import annotations

import argparse

from mmwsss.cli.evaluate_folders import evaluate_maps
from mmwsss.cli.evaluation_tools import (
    add_evaluation_options,
    chosen_settings,
    print_figures,
    unwritable,
    write_figures,
)
from mmwsss.cli.launch import run_tool
from mmwsss.cli.mask_tools import chosen_classes
from mmwsss.evaluation import write_curve


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='eval_cams.py',
        description='Compare class activation maps or random walks (.npz) with the true masks of '
        'the same names, at the background scores 0.0001 ... 0.0009, 0.001 ... 0.009 and 0.01 ... '
        '0.99. Pixels whose truth is 255 are left out.',
    )
    parser.add_argument('cam_dir', help='folder of the maps or walks (.npz)')
    add_evaluation_options(parser)
    parser.add_argument(
        '--curve', metavar='CSV', help='write the figures at every background score into this file'
    )
    return parser


def eval_cams(args: argparse.Namespace) -> None:
    """Print the figures, and write them and the curve where asked."""
    classes = chosen_classes(args).classes
    figures, curve = evaluate_maps(args.cam_dir, args.gt_dir, classes, **chosen_settings(args))
    score = figures['threshold']
    print_figures(figures, f'{figures["pairs"]} files of maps at background score {score:g}')
    write_figures(args.out, figures)
    if args.curve is None:
        return
    try:
        write_curve(args.curve, curve)
    except OSError as error:
        raise unwritable('--curve', args.curve, error) from error


if __name__ == '__main__':
    run_tool(make_parser(), eval_cams)
