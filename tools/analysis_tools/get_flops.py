"""Count parameters and multiply-adds of the network of a config, and of its parts."""

from __future__ import annotations

import argparse

import mmwsss  # noqa: F401 - registers everything
from mmwsss.cli.complexity import (
    Complexity,
    Part,
    build_empty,
    count_complexity,
    image_size,
)
from mmwsss.cli.launch import load_config, run_tool
from mmwsss.errors import UsageError

from mmengine.config import Config, DictAction
from prettytable import PrettyTable


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='get_flops.py',
        description='Count parameters and multiply-adds of the network of a config, for one image '
        'and one forward pass, as its tensor mode does it. No weights are read, no memory is '
        'taken.',
    )
    parser.add_argument('config', help='config of a model')
    parser.add_argument(
        '--shape',
        type=int,
        nargs='+',
        metavar='N',
        help='height and width, or one for both (default: what the config trains with)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='as in train.py'
    )
    parser.set_defaults(launcher='none', work_dir=None)
    return parser


def chosen_size(args: argparse.Namespace, cfg: Config) -> tuple[int, int]:
    """Return height and width of the image.

    Args:
        args: ``shape`` and ``config``.
        cfg: The config.

    Raises:
        UsageError: ``--shape`` is no size, or is needed.
    """
    if args.shape is None:
        size = image_size(cfg)
        if size is None:
            raise UsageError(f'{args.config} does not say how large its images are: give --shape.')
        return size
    if len(args.shape) > 2 or min(args.shape) < 1:
        raise UsageError(f'--shape takes one or two positive numbers, got {args.shape}.')
    return args.shape[0], args.shape[-1]


def read_model_config(args: argparse.Namespace) -> Config:
    """Read the config that the command line names.

    Args:
        args: Of the command line.

    Raises:
        UsageError: it cannot be read, or has no model.
    """
    cfg = load_config(args)
    if 'model' not in cfg:
        raise UsageError(f'{args.config} has no model; give the config of a training, no pipeline.')
    return cfg


def complexity_of(args: argparse.Namespace, cfg: Config, size: tuple[int, int]) -> Complexity:
    """Count the network of a config.

    Args:
        args: ``config``.
        cfg: The config.
        size: Height and width of the image.

    Raises:
        UsageError: the network cannot be built, or does not take such an image.
    """
    try:
        return count_complexity(build_empty(cfg), size)
    except (RuntimeError, ValueError, KeyError, TypeError, AssertionError) as error:
        reason = ' '.join(str(error).split())
        raise UsageError(
            f'The network of {args.config} cannot be counted at {size[0]} x {size[1]}: {reason}'
        ) from error


def complexity_table(found: Complexity) -> str:
    """Return the table of the parts, the whole network below them.

    Args:
        found: What was counted.
    """
    table = PrettyTable(['part', 'parameters', 'of them frozen', 'multiply-adds'], align='r')
    table.align['part'] = 'l'

    def row(part: Part) -> list[str]:
        return [part.name, *(f'{number:,}' for number in part[1:])]

    table.add_rows([row(part) for part in found.parts], divider=False)
    table.add_divider()
    table.add_row(row(found.total), divider=bool(found.unused))
    for part in found.unused:
        table.add_row([f'{part.name} (training only)', *row(part)[1:3], ''])
    return table.get_string()


def main(args: argparse.Namespace) -> None:
    """Print the table, and how the numbers are to be read."""
    cfg = read_model_config(args)
    size = chosen_size(args, cfg)
    found = complexity_of(args, cfg, size)
    total = found.total
    print(complexity_table(found))
    print(
        f'{args.config}, one image of {size[0]} x {size[1]}: {total.parameters / 1e6:.2f} M '
        f'parameters, {total.multiply_adds / 1e9:.2f} G multiply-adds.'
    )
    print(
        'A multiply-add counts once, as in the "GFLOPs" of most papers; counted as two operations '
        f'they are {2 * total.multiply_adds / 1e9:.2f} GFLOPs.\n'
        'Convolutions, matrix products, attention and LSTMs are counted; norms, activations, '
        'resizing and sums are not.'
    )


if __name__ == '__main__':
    run_tool(make_parser(), main)
