"""Get pretrained weights by name, for machines whose compute nodes have no network."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmwsss.cli.first_weights import weight_names
from mmwsss.cli.launch import read_config, run_tool
from mmwsss.compat import CheckpointError
from mmwsss.errors import UsageError
from mmwsss.models.pretrained import (
    SCHEME,
    find_file,
    find_weights,
    load_pretrained,
    weights_folder,
)
from mmwsss.models.pretrained_table import TABLE
from mmwsss.pipeline.tool_configs import find_config, flat_options

from prettytable import PrettyTable

TOOLS = Path(__file__).resolve().parent


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='download_weights.py',
        description='Download pretrained weights into the folder where configs find them, and '
        'check them. What is there is checked, too.',
    )
    parser.add_argument('names', nargs='*', metavar='NAME', help='such as mit-b1')
    parser.add_argument(
        '--for',
        dest='configs',
        nargs='+',
        default=[],
        metavar='CONFIG',
        help='get all that these configs of trainings or pipelines start from',
    )
    parser.add_argument('--list', action='store_true', help='show what is here and what is not')
    return parser


def names_of(path: str) -> list[str]:
    """Return the names that a config of a training, or those of a pipeline's trainings, need.

    Args:
        path: The config.

    Raises:
        UsageError: it, or a config that it names, is missing or wrong.
    """
    cfg = read_config(path)
    if 'stages' not in cfg:
        return list(weight_names(cfg.get('model')).values())
    names = []
    for stage in cfg.stages.values():
        if stage.get('config') is None:
            continue
        options = flat_options(stage.get('options') or {})
        model = read_config(find_config(stage.config, TOOLS), options).model
        # the backbone of such a stage begins as that of another one
        names += [
            name
            for place, name in weight_names(model).items()
            if not (place == 'backbone' and stage.get('pretrained'))
        ]
    return names


def show() -> None:
    """Print all names, and the file of each where it is here."""
    table = PrettyTable(['name', 'weights', 'here'])
    table.align = 'l'
    for name, weights in TABLE.items():
        path = find_file(name)
        table.add_row([name, weights.title, str(path) if path else 'no'])
    print(table.get_string())
    print(f'Folder: {weights_folder()}')


def main(args: argparse.Namespace) -> None:
    """Get what was asked for; go on to the others where one cannot be had."""
    if args.list:
        show()
        return
    names = [*args.names, *(name for path in args.configs for name in names_of(path))]
    if not names:
        if args.configs:
            print(f'{", ".join(args.configs)}: no weights with a name are needed.')
            return
        raise UsageError('Name weights, or give --for CONFIG, or --list to see what there is.')
    names = list(dict.fromkeys(name.removeprefix(SCHEME) for name in names))
    for name in names:
        find_weights(name)
    problems = []
    for name in names:
        try:
            load_pretrained(name)
        except CheckpointError as error:
            problems.append(str(error))
        else:
            print(f'{name}: {find_file(name)}')
    if problems:
        raise UsageError(' '.join(problems))


if __name__ == '__main__':
    run_tool(make_parser(), main)
