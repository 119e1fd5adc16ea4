"""What is to be segmented: files, folders, patterns, arrays and videos, as one row of pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from glob import escape, glob
from itertools import accumulate, count, islice, takewhile
from operator import truediv
from pathlib import Path
from typing import Any

import mmcv
import numpy as np

from mmwsss.datasets import image_id
from mmwsss.datasets.folder_files import list_folder
from mmwsss.datasets.image_names import IMAGE_SUFFIXES, image_name
from mmwsss.engine.launch import UsageError
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

    Shapes:
        image: ``(H, W, 3)`` uint8, BGR.
    """

    name: str
    path: str | None = None
    image: np.ndarray | None = None
    tags: tuple[int, ...] | None = None

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
        reader = mmcv.VideoReader(self.path)
        if not reader.opened or reader.read() is None:
            raise UsageError(
                f'video {self.path} cannot be read: fetch the file again, or convert it to MP4.'
            )
        return reader.frame_cnt

    def __len__(self) -> int:
        # what the header says, which need not be true
        return max(-(-self._frames // self.stride), 1)

    def __iter__(self) -> Iterator[Picture]:
        frames = islice(mmcv.VideoReader(self.path), 0, None, self.stride)
        for number, frame in zip(count(0, self.stride), frames, strict=False):
            yield Picture(f'{self.name}_{number:06}', image=frame, tags=self.tags)


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


def _from_pattern(pattern: str, stride: int, without: Sequence[str]) -> list[Source]:
    # a folder that is there is no pattern, whatever characters its name holds
    *above, last = Path(pattern).parts
    fixed = list(takewhile(lambda path: path.is_dir(), accumulate(map(Path, above), truediv)))
    root = str(fixed[-1]) if fixed else '.'
    rest = Path(*above[len(fixed) :], last)
    pattern = os.path.join(escape(root), rest) if fixed else pattern
    return [
        _from_file(path, root, stride)
        for path in sorted(glob(pattern, recursive=True))
        if path.lower().endswith((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
        and os.path.isfile(path)
        and not any(Path(path).resolve().is_relative_to(folder) for folder in without)
    ]


def _from_path(path: str, stride: int, without: Sequence[str], notes: list[str]) -> list[Source]:
    if '://' in path:
        return [Picture(image_id(path), path)]
    if os.path.isfile(path):
        return [_from_file(path, os.path.dirname(path) or '.', stride)]
    found: list[Source] = []
    hint = ''
    if os.path.isdir(path):
        files = list_folder(path, without=without)
        found += [_from_file(os.path.join(path, name), path, stride) for name in files.names]
        what, hint = 'The folder', files.hint('pictures')
        notes += filter(None, [files.note('pictures')])
    elif MAGIC.search(path):
        found = _from_pattern(path, stride, without)
        what = 'The pattern'
    else:
        raise UsageError(f'There is no picture, folder or video {path}; check the path.')
    if not found:
        raise UsageError(
            f'{what} {path} gives no picture: name one with files that end with '
            f'{", ".join(IMAGE_SUFFIXES)}.{hint}'
        )
    return found


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
