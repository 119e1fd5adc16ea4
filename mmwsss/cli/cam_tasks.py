"""What the tools share that make one file of each file of class activation maps."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmwsss.cli.mask_tools import make_folder, work_through
from mmwsss.datasets.folder_files import list_folder
from mmwsss.datasets.image_names import ImageNames
from mmwsss.errors import UsageError
from mmwsss.utils import remove_stale, short_list


class CAMTask(NamedTuple):
    """The files of one image."""

    cam: str
    image: str
    out: str


def add_share_option(parser: argparse.ArgumentParser) -> None:
    """Add the share of the images that is done here, for :func:`take_share`.

    Args:
        parser: Parser of the tool.
    """
    parser.add_argument(
        '--share',
        nargs=2,
        type=int,
        default=(0, 1),
        metavar=('I', 'N'),
        help='make the share I of N of the files, I from 0, where N machines work together (0 1)',
    )


def take_share(tasks: list[CAMTask], share: Sequence[int]) -> list[CAMTask]:
    """Return every N-th task.

    Args:
        tasks: Of all images.
        share: Which share, from 0, and of how many.

    Raises:
        UsageError: there is no such share.
    """
    number, total = share
    if not 0 <= number < total:
        raise UsageError(f'--share takes I N with I in 0 to N - 1, got {number} {total}.')
    return tasks[number::total]


def find_images(
    folder: str, wanted: Sequence[str], *, without: Sequence[str] = ()
) -> dict[str, str]:
    """Return the path of each wanted image.

    Args:
        folder: Searched with its subfolders.
        wanted: Names without extension.
        without: Folders in it that hold no images.

    Raises:
        UsageError: an image is missing.
        ImageNameError: there are several of that name.
    """
    if not os.path.isdir(folder):
        raise UsageError(f'--images {folder}: there is no such folder; check the path.')
    files = list_folder(folder, without=without)
    names = ImageNames(wanted)
    found = files.of(names)
    missing = [name for name in wanted if names.of[name] not in found]
    if missing:
        raise UsageError(
            f'{folder} lacks the images of {len(missing)} of {len(wanted)} files of maps '
            f'({short_list(missing)}): give --images the folder that the maps were made of.'
            f'{files.hint()}'
        )
    return {name: found[names.of[name]] for name in wanted}


def find_cam_tasks(cam_dir: str, images: str, out_dir: str, suffix: str) -> list[CAMTask]:
    """Return the files of all images that have maps.

    Args:
        cam_dir: Folder of the maps.
        images: Folder of the images.
        out_dir: Folder of the files that are to be made.
        suffix: Of those files.

    Raises:
        UsageError: there are no maps, or images are missing.
    """
    if Path(out_dir).resolve() == Path(cam_dir).resolve():
        raise UsageError(f'--out-dir {out_dir} is the folder of the maps; choose another one.')
    cams = list_folder(cam_dir, ('.npz',)).paths() if os.path.isdir(cam_dir) else {}
    if not cams:
        raise UsageError(
            f'{cam_dir} holds no maps (.npz): make them with tools/make_cams.py --out-dir.'
        )
    paths = find_images(images, list(cams), without=[cam_dir, out_dir])
    return [
        CAMTask(cam, paths[name], str(Path(out_dir) / (name + suffix)))
        for name, cam in cams.items()
    ]


def write_missing(
    function: Callable[[CAMTask], Any],
    tasks: Sequence[CAMTask],
    out_dir: str,
    *,
    overwrite: bool,
    workers: int,
    description: str,
) -> None:
    """Make the files that are missing, and say how many that were.

    Args:
        function: Makes the file of a task; see :func:`work_through`.
        tasks: Of all images.
        out_dir: Folder of the files.
        overwrite: Whether files that are there are made again.
        workers: Number of processes.
        description: Text before the progress bar.

    Raises:
        UsageError: the folder cannot be written, or a file is not as it should be.
    """
    make_folder(out_dir)
    remove_stale(out_dir)
    todo = [task for task in tasks if overwrite or not os.path.exists(task.out)]
    for _ in work_through(function, todo, workers=workers, description=description):
        pass
    kept = len(tasks) - len(todo)
    note = f', {kept} were there already (--overwrite makes them again)' if kept else ''
    print(f'{len(todo)} files written to {out_dir}{note}.')
