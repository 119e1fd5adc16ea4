"""A progress bar over work that several processes share."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .processes import die_with_parent

Task = TypeVar('Task')
Result = TypeVar('Result')


def progress_bar() -> Progress:
    """Return a bar on standard error that vanishes in the end; none where that is no terminal."""
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # what a tool prints on standard output stays clean
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _begin() -> None:
    """Leave an interruption to the process that shares out the work, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def track(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int = 1,
    description: str = '',
) -> Iterator[Result]:
    """Yield the results of a function over tasks, in their order, with a bar on standard error.

    Args:
        function: What to do with a task; of a module, so that other processes find it.
        tasks: The tasks.
        workers: Number of processes; 1 works in this one.
        description: Text before the bar.

    Raises:
        ValueError: ``workers`` is not positive.
        concurrent.futures.process.BrokenProcessPool: a process was killed.
    """
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}.')
    if workers == 1 or len(tasks) < 2:
        with progress_bar() as bar:
            yield from bar.track(map(function, tasks), len(tasks), description=description)
        return
    pool = ProcessPoolExecutor(min(workers, len(tasks)), initializer=_begin)
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns where a process with threads forks; these run no Python code
            warnings.simplefilter('ignore', DeprecationWarning)
            results = pool.map(function, tasks, chunksize=min(16, -(-len(tasks) // workers)))
        with progress_bar() as bar:
            yield from bar.track(results, len(tasks), description=description)
    finally:
        pool.shutdown(cancel_futures=True)
