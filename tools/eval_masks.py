"""Compare a folder of masks with another one: mIoU, and each class's share of it."""

from __future__ import annotations

import argparse

from mmwsss.cli.evaluate_folders import evaluate_masks
from mmwsss.cli.evaluation_tools import (
    add_evaluation_options,
    chosen_settings,
    print_figures,
    write_figures,
)
from mmwsss.cli.launch import run_tool
from mmwsss.cli.mask_tools import chosen_classes


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='eval_masks.py',
        description='Compare index masks (PNG) with the true ones of the same names. Pixels whose '
        'truth is 255 are left out; a predicted 255 is no class and counts as missed.',
    )
    parser.add_argument('pred_dir', help='folder of the masks (PNG)')
    add_evaluation_options(parser)
    return parser


def eval_masks(args: argparse.Namespace) -> None:
    """Print the figures, and write them where asked."""
    classes = chosen_classes(args).classes
    figures = evaluate_masks(args.pred_dir, args.gt_dir, classes, **chosen_settings(args))
    print_figures(figures, f'{figures["pairs"]} pairs of masks')
    write_figures(args.out, figures)


if __name__ == '__main__':
    run_tool(make_parser(), eval_masks)
