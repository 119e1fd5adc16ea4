"""Parallel map with a progress bar."""

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
    """Return a transient bar on standard error, disabled if that is not a terminal."""
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # keep standard output clean
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _begin() -> None:
    """Let the parent handle Ctrl-C, and end with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def track(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int = 1,
    description: str = '',
) -> Iterator[Result]:
    """Yield the results of a function over tasks, in order, with a progress bar.

    Args:
        function: A picklable function.
        workers: Number of processes; 1 runs in this process.
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
            # Python 3.12 warns when forking with threads; these do not run Python code
            warnings.simplefilter('ignore', DeprecationWarning)
            results = pool.map(function, tasks, chunksize=min(16, -(-len(tasks) // workers)))
        with progress_bar() as bar:
            yield from bar.track(results, len(tasks), description=description)
    finally:
        pool.shutdown(cancel_futures=True)
