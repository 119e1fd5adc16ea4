"""What the tools that work through folders of maps and masks share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

import torch

from mmwsss.datasets import LabelFileError
from mmwsss.datasets.class_palettes import ClassPalette, read_classes
from mmwsss.errors import UsageError
from mmwsss.utils import FileProblemError, user_sentence
from mmwsss.utils.progress import track

Task = TypeVar('Task')
Result = TypeVar('Result')


def add_class_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the classes, for :func:`chosen_classes`.

    Args:
        parser: Parser of the tool.
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--classes',
        nargs='+',
        default=['voc'],
        metavar='CLASS',
        help='voc, coco, a file with one name a line, or the names (default: voc)',
    )
    group.add_argument('--data-root', metavar='DIR', help='take the classes of this Emblems')


def add_worker_option(parser: argparse.ArgumentParser) -> None:
    """Add the number of processes, for :func:`work_through`.

    Args:
        parser: Parser of the tool.
    """
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count() or 1,
        help='number of processes (default: one a core)',
    )


def chosen_classes(args: argparse.Namespace) -> ClassPalette:
    """Return the classes that the command line names.

    Args:
        args: ``classes`` and ``data_root``.

    Raises:
        UsageError: there are no such classes.
    """
    try:
        return read_classes(args.classes, args.data_root)
    except (LabelFileError, OSError, ValueError) as error:
        raise UsageError(str(error)) from error


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Make a folder for files, before any work is done for them.

    Args:
        folder: The folder.

    Raises:
        UsageError: it cannot be made or written.
    """
    problem = 'no permission'
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return
    except OSError as error:
        problem = error.strerror or str(error)
    raise UsageError(f'--out-dir {folder} cannot be written ({problem}); choose another folder.')


def work_through(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int,
    description: str,
) -> Iterator[Result]:
    """Yield the results of a function over tasks, in their order, on several processes.

    Args:
        function: What to do with a task; of a module, so that other processes find it.
        tasks: The tasks.
        workers: Number of processes.
        description: Text before the progress bar.

    Raises:
        UsageError: ``workers`` is not positive, or a file is not as it should be.
    """
    if workers < 1:
        raise UsageError(f'--workers must be at least 1, got {workers}.')
    # the processes share the cores, and each would start a thread on every one
    torch.set_num_threads(1)
    try:
        yield from track(function, tasks, workers=workers, description=description)
    except BrokenProcessPool as error:
        raise UsageError(
            'A process was killed, perhaps for want of memory: run again with fewer --workers; '
            'what is finished stays.'
        ) from error
    except ImportError as error:
        raise UsageError(str(error)) from error
    except (FileProblemError, OSError, MemoryError) as error:
        raise UsageError(user_sentence(error) or str(error)) from error
