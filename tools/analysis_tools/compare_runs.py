"""Compare work directories of trainings and pipelines: figures, times, losses, settings."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from mmwsss.cli.evaluation_tools import unwritable
from mmwsss.cli.launch import run_tool
from mmwsss.errors import UsageError
from mmwsss.pipeline.display import clock
from mmwsss.pipeline.run_folders import Run, differences, read_run
from mmwsss.utils import atomic_write
from mmwsss.visualization import save_figure
from mmwsss.visualization.run_plots import plot_runs

from prettytable import PrettyTable

METRICS = ['mIoU', 'm_FP', 'm_FN', 'F1']
LONGEST = 48  # of a value in a table that is read, in letters


class Table(NamedTuple):
    """A table to print.

    Args:
        title: What it shows.
        columns: Names of the columns.
        rows: Cells.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='compare_runs.py',
        description='Put runs beside each other: figures, times, the settings in which they '
        'differ, and a plot of losses and figures.',
    )
    parser.add_argument(
        'work_dirs', nargs='+', help='folders of trainings, of pipelines or of their stages'
    )
    parser.add_argument('--names', nargs='+', help='of the runs (default: those of the folders)')
    parser.add_argument(
        '--metrics',
        nargs='+',
        default=METRICS,
        help=f'figures to show, "all" for what there is (default: {" ".join(METRICS)})',
    )
    parser.add_argument('--mean', action='store_true', help='add the mean of all runs')
    parser.add_argument(
        '--format', choices=['text', 'markdown', 'csv'], default='text', help='of the tables'
    )
    parser.add_argument('--out', metavar='FILE', help='write the tables into this file instead')
    parser.add_argument('--plot', metavar='PNG', help='plot losses and figures into this file')
    parser.add_argument(
        '--losses',
        nargs='+',
        default=['loss'],
        metavar='LOSS',
        help='to plot, "all" for what there is (default: loss)',
    )
    return parser


def run_names(args: argparse.Namespace) -> list[str]:
    """Return a name for every run: that of its folder, or the path where that is not enough.

    Args:
        args: ``work_dirs`` and ``names``.

    Raises:
        UsageError: there are not as many names as folders, or two are the same.
    """
    if args.names is not None:
        if len(set(args.names)) != len(args.work_dirs):
            raise UsageError(
                f'--names needs {len(args.work_dirs)} different names, one a folder, got '
                f'{len(args.names)}: {" ".join(args.names)}.'
            )
        return args.names
    names = [Path(folder).resolve().name for folder in args.work_dirs]
    names = names if len(set(names)) == len(names) else list(args.work_dirs)
    if len(set(names)) != len(names):
        raise UsageError('A folder is named twice; name every run once.')
    return names


def is_chosen(name: str, chosen: Sequence[str]) -> bool:
    """Return whether a metric or loss was asked for, by its name or what follows its prefix.

    Args:
        name: ``cam/mIoU``.
        chosen: ``mIoU``, ``cam/mIoU`` or ``all``.
    """
    return 'all' in chosen or name in chosen or name.split('/')[-1] in chosen


def figure_rows(runs: dict[str, Run], chosen: Sequence[str]) -> dict[tuple[str, str], dict]:
    """Return where was measured what, and the value of every run that has one.

    Args:
        runs: By name.
        chosen: Metrics.
    """
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for name, run in runs.items():
        for place, figures in run.figures.items():
            for metric, value in figures.items():
                if is_chosen(metric, chosen):
                    rows.setdefault((place, metric), {})[name] = value
    return rows


def figure_table(runs: dict[str, Run], args: argparse.Namespace) -> Table:
    """Return the table of the figures.

    Args:
        runs: By name.
        args: ``metrics`` and ``mean``.
    """
    rows = []
    for (place, metric), values in figure_rows(runs, args.metrics).items():
        cells = [f'{values[name]:.2f}' if name in values else '-' for name in runs]
        if args.mean:  # of all, or it would be of different runs in every row
            cells.append(f'{mean(values.values()):.2f}' if len(values) == len(runs) else '-')
        rows.append([place, metric, *cells])
    columns = ['measured on', 'metric', *runs, *(['mean'] if args.mean else [])]
    return Table('Figures', columns, rows)


def time_table(runs: dict[str, Run]) -> Table:
    """Return the table of the times, with the sum.

    Args:
        runs: By name.
    """
    parts = dict.fromkeys(part for run in runs.values() for part in run.seconds)
    rows = [
        [part, *(clock(r.seconds[part]) if part in r.seconds else '-' for r in runs.values())]
        for part in parts
    ]
    if len(rows) > 1:
        rows.append(['sum', *(clock(sum(run.seconds.values())) for run in runs.values())])
    return Table('Time', ['part', *runs], rows)


def setting_tables(runs: dict[str, Run]) -> list[Table]:
    """Return the settings in which runs differ, for trainings and pipelines apart.

    Args:
        runs: By name.
    """
    tables = []
    for kind in dict.fromkeys(run.kind for run in runs.values()):
        same = {name: run for name, run in runs.items() if run.kind == kind}
        if len(same) > 1:
            rows = differences([run.settings for run in same.values()])
            cells = [[key, *map(str, values)] for key, values in rows.items()]
            tables.append(Table(f'Settings of the {kind}s', ['setting', *same], cells))
    return tables


def shorten(cell: str) -> str:
    """Return a value as a table that is read shows it.

    Args:
        cell: The value.
    """
    return cell if len(cell) <= LONGEST else f'{cell[: LONGEST - 3]}...'


def as_text(tables: Sequence[Table]) -> str:
    """Return tables for a terminal.

    Args:
        tables: To print.
    """
    parts = []
    for table in tables:
        shown = PrettyTable(table.columns, align='r')
        shown.align[table.columns[0]] = 'l'
        shown.add_rows([[row[0], *map(shorten, row[1:])] for row in table.rows])
        parts.append(f'{table.title}\n{shown.get_string()}\n')
    return '\n'.join(parts)


def as_markdown(tables: Sequence[Table]) -> str:
    """Return tables in Markdown.

    Args:
        tables: To print.
    """
    parts = []
    for table in tables:
        rows = [table.columns, ['---'] * len(table.columns)]
        rows += [[shorten(cell).replace('|', '\\|') for cell in row] for row in table.rows]
        lines = ''.join(f'| {" | ".join(row)} |\n' for row in rows)
        parts.append(f'### {table.title}\n\n{lines}')
    return '\n'.join(parts)


def as_csv(tables: Sequence[Table]) -> str:
    """Return tables as one of comma-separated values, the title in the first column.

    Args:
        tables: To print.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator='\n')
    for table in tables:
        writer.writerows([table.title, *row] for row in [table.columns, *table.rows])
    return buffer.getvalue()


def draw(runs: dict[str, Run], args: argparse.Namespace) -> None:
    """Write the plot.

    Args:
        runs: By name.
        args: ``plot``, ``losses`` and ``metrics``.

    Raises:
        UsageError: there is nothing to plot, or the file cannot be written.
    """
    curves: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        for training, losses in run.losses.items():
            for loss, points in losses.items():
                if is_chosen(loss, args.losses):
                    curves.setdefault(f'{training}: {loss}', {})[name] = points
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for (place, metric), values in figure_rows(runs, args.metrics).items():
        figures.setdefault(metric, {})[place] = values
    try:
        save_figure(plot_runs(list(runs), curves, figures), args.plot)
    except ValueError as error:
        raise UsageError(f'--plot {args.plot} cannot be made: {error}') from error
    except OSError as error:
        raise unwritable('--plot', args.plot, error) from error


def main(args: argparse.Namespace) -> None:
    """Print or write the tables, and plot where asked."""
    names = run_names(args)
    runs = {n: read_run(Path(f)) for n, f in zip(names, args.work_dirs, strict=True)}
    tables = [figure_table(runs, args), time_table(runs), *setting_tables(runs)]
    tables = [table for table in tables if table.rows]
    text = dict(text=as_text, markdown=as_markdown, csv=as_csv)[args.format](tables)
    if args.out is None:
        print(text, end='')
    else:
        try:
            with atomic_write(args.out, 'w') as file:
                file.write(text)
        except OSError as error:
            raise unwritable('--out', args.out, error) from error
    if args.plot is not None:
        draw(runs, args)


if __name__ == '__main__':
    run_tool(make_parser(), main)
