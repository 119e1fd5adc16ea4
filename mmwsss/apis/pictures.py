"""What is to be segmented: files, folders, patterns, arrays and videos, as one row of pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, takewhile
from operator import truediv
from pathlib import Path
from typing import Any

import mmcv
import numpy as np

from mmwsss.datasets import image_id
from mmwsss.datasets.folder_files import FolderFiles, list_folder
from mmwsss.datasets.image_names import IMAGE_SUFFIXES, image_name
from mmwsss.errors import UsageError
from mmwsss.utils import shown

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv')
MAGIC = re.compile(r'[*?[]')


@dataclass(frozen=True)
class Picture:
    """A picture.

    Args:
        name: Of its files, subfolder included, without extension.
        path: Its file, None for an array and a frame.
        image: The array, None for a file.
        tags: Foreground indices that it is tagged with, None where that is not known.
        problem: Why it cannot be read, where that is known.

    Shapes:
        image: ``(H, W, 3)`` uint8, BGR.
    """

    name: str
    path: str | None = None
    image: np.ndarray | None = None
    tags: tuple[int, ...] | None = None
    problem: str | None = None

    @property
    def tag_name(self) -> str | None:
        """Path by which a source of tags knows it."""
        return self.path

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Picture]:
        yield self


@dataclass(frozen=True)
class Video:
    """Frames of a video; they are read one after the other.

    Args:
        name: Of the files of its frames, ``{name}_{number}``.
        path: Its file.
        stride: Every how many frames one is taken.
        tags: As of a picture, of all frames.
    """

    name: str
    path: str
    stride: int = 1
    tags: tuple[int, ...] | None = None

    @property
    def tag_name(self) -> str:
        """Path by which a source of tags knows it."""
        return self.path

    @cached_property
    def _frames(self) -> int:
        # what the header says, which need not be true
        return mmcv.VideoReader(self.path).frame_cnt

    def __len__(self) -> int:
        return max(-(-self._frames // self.stride), 1)

    def __iter__(self) -> Iterator[Picture]:
        reader = mmcv.VideoReader(self.path)
        number = 0
        while (frame := reader.read()) is not None:
            name = f'{self.name}_{number:06}'
            if number % self.stride == 0:
                yield Picture(name, image=frame, tags=self.tags)
            number += 1
        if problem := self._problem(number):
            yield Picture(f'{self.name}_{number:06}', self.path, problem=problem)

    def _problem(self, number: int) -> str:
        """Say what is wrong with a video of which so many frames could be read, '' if nothing."""
        advice = 'fetch the file again, or convert it to MP4.'
        if not number:
            return f'video {shown(self.path)} cannot be read: {advice}'
        # some headers count by the duration
        if self._frames - number > max(self._frames // 20, 1):
            return (
                f'video {shown(self.path)} breaks off after {number} of {self._frames} frames: '
                f'{advice}'
            )
        return ''


Source = Picture | Video


@dataclass(frozen=True)
class Pictures:
    """A row of pictures.

    Args:
        sources: Pictures, and videos with several of them.
        notes: Sentences on files that are not used.
    """

    sources: Sequence[Source]
    notes: Sequence[str] = ()

    def __len__(self) -> int:
        return sum(map(len, self.sources))

    def __iter__(self) -> Iterator[Picture]:
        for source in self.sources:
            yield from source

    def tagged(self, tags: Sequence[tuple[int, ...]]) -> Pictures:
        """Return the same pictures with tags.

        Args:
            tags: Foreground indices of each source.
        """
        pairs = zip(self.sources, tags, strict=True)
        return replace(self, sources=[replace(source, tags=found) for source, found in pairs])

    def check_names(self) -> None:
        """Make sure that no two have the same files.

        Raises:
            UsageError: two have.
        """
        owners: dict[str, Source] = {}
        for source in self.sources:
            owner = owners.setdefault(source.name, source)
            if owner is not source:
                raise UsageError(
                    f'{shown(owner.path)} and {shown(source.path)} would have the same files '
                    f'({shown(source.name)}): '
                    'rename one, or give them folders of their own.'
                )


def _from_file(path: str, root: str, stride: int) -> Source:
    """Return a file; its name is relative to a folder."""
    relative = os.path.relpath(path, root)
    if path.lower().endswith(VIDEO_SUFFIXES):
        return Video(image_name(os.path.splitext(relative)[0]), path, stride)
    return Picture(image_name(relative), path)


def _from_pattern(pattern: str, without: Sequence[str]) -> FolderFiles:
    """Return what fits a pattern; a folder that is there is none, whatever its name holds."""
    *above, last = Path(pattern).parts
    fixed = list(takewhile(lambda path: path.is_dir(), accumulate(map(Path, above), truediv)))
    root = fixed[-1] if fixed else Path()
    rest = (*above[len(fixed) :], last)
    suffixes = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    return list_folder(root, suffixes, without=without, pattern=rest)


def _from_path(path: str, stride: int, without: Sequence[str], notes: list[str]) -> list[Source]:
    if '://' in path:
        return [Picture(image_id(path), path)]
    if os.path.isfile(path):
        return [_from_file(path, os.path.dirname(path) or '.', stride)]
    if os.path.isdir(path):
        what, files = 'The folder', list_folder(path, without=without)
    elif MAGIC.search(path):
        what, files = 'The pattern', _from_pattern(path, without)
    else:
        raise UsageError(f'There is no picture, folder or video {shown(path)}; check the path.')
    if not files.names:
        raise UsageError(
            f'{what} {shown(path)} gives no picture: name one with files that end with '
            f'{", ".join(IMAGE_SUFFIXES)}.{files.hint("pictures")}'
        )
    notes += filter(None, [files.note('pictures')])
    root = files.folder
    return [_from_file(os.path.join(root, name), root, stride) for name in files.names]


def _from_array(image: np.ndarray, number: int) -> Picture:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise UsageError(
            f'An array must be (H, W, 3) uint8, BGR as OpenCV reads it, got {image.shape} '
            f'{image.dtype}.'
        )
    return Picture(f'{number:08}', image=image)


def find_pictures(
    inputs: Any, *, stride: int = 1, first: int = 0, without: Sequence[str] = ()
) -> Pictures:
    """Return the pictures that a user names.

    ===================  ====================================================================
    input                pictures, and the name of their files
    ===================  ====================================================================
    file                 one, ``rex`` for ``photos/rex.jpg``
    folder               all images in it and its subfolders, ``walks/rex`` for a subfolder's
    pattern              images and videos, ``**`` for subfolders; names as those of a folder
    video                its frames, ``walk_000010`` for frame 10 of ``walk.mp4``
    address              one, read through MMEngine's file backends
    array                one, BGR; ``00000000`` and so on
    list                 all of its members
    ===================  ====================================================================

    Args:
        inputs: What is to be segmented.
        stride: Every how many frames of a video one is taken.
        first: Number of the first array.
        without: Folders whose files are no pictures, as those of an earlier run.

    Raises:
        UsageError: there is no such file, or no picture.
    """
    if stride < 1:
        raise UsageError(f'stride must be at least 1, got {stride}.')
    several = isinstance(inputs, (list, tuple))
    sources: list[Source] = []
    notes: list[str] = []
    without = [os.path.realpath(folder) for folder in without]
    for one in inputs if several else [inputs]:
        if isinstance(one, np.ndarray):
            sources.append(_from_array(one, first))
            first += 1
        elif isinstance(one, (str, os.PathLike)):
            sources += _from_path(os.fspath(one), stride, without, notes)
        else:
            raise UsageError(
                f'A {type(one).__name__} is no picture: give a path, a pattern, a BGR array, or a '
                'list of those.'
            )
    if not sources:
        raise UsageError('The list of pictures is empty; name at least one.')
    return Pictures(sources, notes)


def is_one_picture(inputs: Any) -> bool:
    """Tell one picture from what may hold several: a list, folder, pattern or video.

    Args:
        inputs: What :func:`find_pictures` takes.
    """
    if isinstance(inputs, np.ndarray):
        return True
    if isinstance(inputs, (list, tuple)):
        return False
    path = os.fspath(inputs)
    return '://' in path or (os.path.isfile(path) and not path.lower().endswith(VIDEO_SUFFIXES))
