"""Run all methods on Emblems with several seeds, and put what came of it into one table."""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from budget import budget_options
from emblems_rows import (
    END,
    SIZES,
    Size,
    make_table,
    put_between,
    run_folder,
    table_rows,
)

from mmwsss.cli.evaluation_tools import unwritable
from mmwsss.cli.launch import run_tool
from mmwsss.datasets.emblems import EmblemsSettings
from mmwsss.errors import UsageError
from mmwsss.pipeline.children import Child, command_line, readable
from mmwsss.pipeline.display import clock, say
from mmwsss.utils import atomic_write, number, read_utf8

TOOLS = Path(__file__).resolve().parents[1] / 'tools'
CONFIGS = TOOLS.parent / 'configs/pipelines'
DRAW, RUN = 'dataset_converters/make_emblems.py', 'run_pipeline.py'
# programs that share cores would wait for each other's threads
ENVIRONMENT = dict(OMP_NUM_THREADS='1')


class Job(NamedTuple):
    """A pipeline with a seed.

    Args:
        name: For those who wait for it.
        log: File for what it prints.
        words: Arguments of the tool.
    """

    name: str
    log: Path
    words: tuple[str, ...]


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is run.

    Args:
        parser: Parser of the tool.
    """
    parser.add_argument(
        '--methods',
        nargs='+',
        choices=list(SIZES['tiny'].pipelines),
        help='whose pipelines are run (all); the table shows what there is of every one',
    )
    parser.add_argument(
        '--seeds', nargs='+', type=number(int, 0, 2**32 - 1), default=[0, 1, 2], help='(0 1 2)'
    )
    parser.add_argument(
        '--size',
        choices=list(SIZES),
        default='tiny',
        help='full: the networks of the papers on images of 448 x 448, for a GPU (tiny)',
    )
    parser.add_argument(
        '--train-images',
        type=int,
        metavar='N',
        help='the same budget for all methods: the trainings of a pipeline see N images together, '
        'each is longer or shorter by one factor (as many as their configs say)',
    )


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='emblems_table.py',
        description='Run the pipelines of all methods on Emblems with several seeds, and print '
        'one table. The same command goes on where the last one ended; a pipeline that fails '
        'stops no other.',
    )
    add_choices(parser)
    parser.add_argument(
        '--work-dir', help='folder of all results (work_dirs/emblems[-448][_N-images])'
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='pipelines at a time, one thread each (1)'
    )
    parser.add_argument('--dry-run', action='store_true', help='print the commands alone')
    parser.add_argument('--only-table', action='store_true', help='run nothing')
    tiny, full = SIZES['tiny'], SIZES['full']
    parser.add_argument(
        '--write',
        metavar='PAGE',
        help=f'put the table into this page, too, between the lines {tiny.marker} (--size full: '
        f'{full.marker}; --train-images: {tiny.budget_marker()}) and {END}',
    )
    return parser


def photograph_words(size: Size) -> list[str]:
    """Return the arguments by which a pipeline of another data set takes Emblems.

    Args:
        size: Of the networks.
    """
    root = size.data_root
    words = ['--images', f'{root}/JPEGImages', '--labels', f'{root}/image_labels.json']
    # the classes in the order of the masks
    return [
        *words,
        '--masks',
        f'{root}/SegmentationClass',
        '--classes',
        *EmblemsSettings().classes[1:],
    ]


def budget_words(config: Path, size: Size, total: int) -> list[str]:
    """Return the arguments by which the trainings of a pipeline see so many images together.

    Args:
        config: Of the pipeline.
        size: Of the networks.
        total: Images of all trainings.
    """
    settings = EmblemsSettings()
    photographs = settings.num_train + settings.num_val if size.own else None
    options = budget_options(str(config), TOOLS, total, photographs)
    return ['--cfg-options', *(f'{key}={iters}' for key, iters in options.items())]


def find_jobs(args: argparse.Namespace, size: Size, work_dir: Path) -> list[Job]:
    """Return what is to be run: all methods with the first seed, then with the next.

    Args:
        args: ``methods``, ``seeds`` and ``train_images``.
        size: Of the networks.
        work_dir: Of all.

    Raises:
        UsageError: a method has no pipeline of this size.
    """
    methods = args.methods or list(size.pipelines)
    if lacking := [method for method in methods if method not in size.pipelines]:
        raise UsageError(
            f'--methods {lacking[0]}: there is no pipeline of it with --size {args.size}; there '
            f'are those of {", ".join(size.pipelines)}.'
        )
    jobs = []
    for seed in args.seeds:
        for name in (size.pipelines[method] for method in methods):
            folder, config = run_folder(work_dir, name, seed), CONFIGS / f'{name}.py'
            words = [readable(config), '--seed', str(seed)]
            words += ['--work-dir', str(folder), '--workers', '1']
            words += photograph_words(size) if size.own else []
            words += budget_words(config, size, args.train_images) if args.train_images else []
            # not in the folder, which is the pipeline's
            jobs.append(Job(f'{name}, seed {seed}', folder.with_suffix('.log'), tuple(words)))
    return jobs


def draw(words: Sequence[str], log: Path) -> None:
    """Draw the data before several pipelines do it at once.

    Args:
        words: Arguments of the tool.
        log: File for what it prints.

    Raises:
        UsageError: the data cannot be drawn.
    """
    child = Child(TOOLS / DRAW, words, log, environment=ENVIRONMENT)
    try:
        if child.wait(lambda: None):
            raise UsageError(f'Emblems cannot be drawn: {child.sentence()}')
    finally:
        child.end()


def run_jobs(jobs: Sequence[Job], limit: int) -> list[str]:
    """Run pipelines, several at a time, and return a sentence for each that failed.

    Args:
        jobs: What to run.
        limit: How many at a time.
    """
    waiting = deque(jobs)
    running: dict[Job, tuple[Child, float]] = {}
    failed, done = [], 0
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                job = waiting.popleft()
                say(f'{job.name}: begins, see {readable(job.log)}')
                child = Child(TOOLS / RUN, job.words, job.log, environment=ENVIRONMENT)
                running[job] = child, time.monotonic()
            time.sleep(0.1)
            for job, (child, begin) in list(running.items()):
                status = child.process.poll()
                if status is None:
                    continue
                del running[job]
                done += 1
                how = f'finished after {clock(time.monotonic() - begin)}'
                if status:
                    how = f'failed: {child.sentence()}'
                    failed.append(f'{job.name} {how}')
                say(f'[{done}/{len(jobs)}] {job.name}: {how}')
    finally:
        for child, _ in running.values():
            child.end()
    return failed


def run(args: argparse.Namespace, size: Size, work_dir: Path) -> list[str]:
    """Run what the arguments say, or print it, and return what failed.

    Args:
        args: Of the command line.
        size: Of the networks.
        work_dir: Of all.

    Raises:
        UsageError: an option is wrong, or the data cannot be drawn.
        SystemExit: it was interrupted.
    """
    jobs = find_jobs(args, size, work_dir)
    drawing = [size.data_root, '--size', str(size.side), '--workers', str(args.jobs)]
    if args.dry_run:
        say(command_line(TOOLS / DRAW, drawing))
        for job in jobs:
            say(command_line(TOOLS / RUN, job.words))
        return []
    try:
        draw(drawing, work_dir / 'data.log')
        return run_jobs(jobs, args.jobs)
    except KeyboardInterrupt:
        say('\nStopped. The same command goes on from there; what is finished stays.')
        raise SystemExit(130) from None


def page_with(path: str, marker: str, table: str) -> str:
    """Return a page with another table in it.

    Args:
        path: The page.
        marker: Line behind which the table begins.
        table: The table.

    Raises:
        UsageError: the page cannot be read, or has no place for the table.
    """
    try:
        return put_between(read_utf8(path), marker, table)
    except OSError as error:
        raise UsageError(f'--write {path} cannot be read: {error.strerror}.') from error
    except UnicodeDecodeError as error:
        raise UsageError(f'--write {path} is no text in UTF-8; name a page.') from error
    except UsageError as error:
        raise UsageError(f'--write {path}: {error}') from error


def main(args: argparse.Namespace) -> None:
    """Run what is wanted, then print and write the table."""
    if args.jobs < 1:
        raise UsageError(f'--jobs must be at least 1, got {args.jobs}.')
    if args.train_images is not None and args.train_images < 1:
        raise UsageError(f'--train-images must be at least 1, got {args.train_images}.')
    size = SIZES[args.size]
    name, marker = Path(size.data_root).name, size.marker
    if args.train_images:
        name, marker = f'{name}_{args.train_images}-images', size.budget_marker()
    work_dir = Path(args.work_dir or Path('work_dirs') / name)
    if args.write:  # hours of work would come before the complaint
        page_with(args.write, marker, '')
    failed = [] if args.only_table else run(args, size, work_dir)
    if args.dry_run:
        return
    table = make_table(table_rows(size, work_dir, args.seeds, CONFIGS), args.seeds)
    say(f'\n{table}')
    if args.write:
        page = page_with(args.write, marker, table)
        try:
            with atomic_write(args.write, 'w') as file:
                file.write(page)
        except OSError as error:
            raise unwritable('--write', args.write, error) from error
    if failed:
        raise UsageError('\n'.join(failed))


if __name__ == '__main__':
    run_tool(make_parser(), main)
