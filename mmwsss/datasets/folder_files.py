"""Files of a folder: which of them are used, and which are not."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property

from mmwsss.utils import FileProblemError, shown

from .image_names import IMAGE_SUFFIXES, ImageNames, image_name

SHOWN = 5
# beside pictures these are no pictures that were forgotten
BESIDE = ('.txt', '.csv', '.json', '.xml', '.md', '.yaml', '.yml', '.py', '.log', '.db', '.ini')
HIDDEN = ('.', '__MACOSX')
EVERYTHING = ('**',)


@dataclass(frozen=True)
class FolderFiles:
    """Files of a folder.

    Args:
        folder: The folder.
        names: Of the files that are used, relative to it, sorted, with ``/``.
        others: Those that are not used, by what they are.
        suffix: Of the files, where it is one that is none of an image's.
    """

    folder: str
    names: Sequence[str]
    others: dict[str, list[str]]
    suffix: str = ''

    @cached_property
    def images(self) -> ImageNames:
        """Names of the images that these files belong to.

        Raises:
            ImageNameError: one has no name.
        """
        return ImageNames(self.names, self.suffix)

    def paths(self) -> dict[str, str]:
        """Return the path of each file by the name of its image.

        Raises:
            ImageNameError: two belong to one image.
        """
        return {name: os.path.join(self.folder, path) for name, path in self.images.paths.items()}

    def of(self, images: ImageNames) -> dict[str, str]:
        """Return the path of the file of each image that has one, by the name of the image.

        Args:
            images: The images.

        Raises:
            ImageNameError: two files are of one image, or one may be of two.
        """
        found = images.match(self.names, self.suffix)
        return {name: os.path.join(self.folder, path) for name, path in found.items()}

    def unused(self, name: str) -> str | None:
        """Return which file of the folder that is not used a name means, None if there is none.

        Args:
            name: Of an image, with or without extension.
        """
        return self._unused.get(image_name(name))

    @cached_property
    def _unused(self) -> dict[str, str]:
        paths = [path for there in self.others.values() for path in there]
        names = {image_name(os.path.splitext(path)[0]): path for path in paths}
        return {**names, **{image_name(path): path for path in paths}}

    def hint(self, what: str = 'images') -> str:
        """Return the note as the end of a message that something is missing.

        Args:
            what: As in :meth:`note`.
        """
        note = self.note(what)
        return f' {note}' if note else ''

    def note(self, what: str) -> str:
        """Return a sentence that counts what is not used, '' where everything is.

        Args:
            what: Of the files that are used, in the plural.
        """
        if not self.others:
            return ''
        number = sum(map(len, self.others.values()))
        kinds = [
            f'{len(names)} {kind} ({", ".join(map(shown, names[:SHOWN]))}'
            f'{" ..." if len(names) > SHOWN else ""})'
            for kind, names in sorted(self.others.items())
        ]
        return f'{number} files of {self.folder} are not used as {what}: {", ".join(kinds)}.'


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether a path fits a pattern, both in parts."""
    if not pattern or not parts:
        return not parts and all(part == '**' for part in pattern)
    if pattern[0] == '**':
        return _fits(parts, pattern[1:]) or _fits(parts[1:], pattern)
    return fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _may_hold(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether a folder may hold what fits a pattern."""
    if '**' in pattern:
        pattern = pattern[: pattern.index('**')]
    elif len(parts) >= len(pattern):
        return False
    return all(map(fnmatch, parts, pattern))


def _members(
    folder: str, without: Collection[str], pattern: Sequence[str]
) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield relative path and state of everything below a folder, None for a link to nothing.

    A folder that was seen already, by a link or another way, is not entered again; nor are those
    that do not count, or hold nothing that fits.
    """
    top = os.stat(folder)
    seen = {(top.st_dev, top.st_ino)}
    for path in filter(os.path.exists, without):
        left_out = os.stat(path)
        seen.add((left_out.st_dev, left_out.st_ino))
    todo = ['']
    while todo:
        parent = todo.pop()
        try:
            entries = sorted(os.scandir(os.path.join(folder, parent)), key=lambda e: e.name)
        except OSError as error:
            raise FileProblemError(
                f'the folder {shown(error.filename)} cannot be read ({error.strerror}): correct '
                'its rights, or take it out.'
            ) from error
        for entry in entries:
            if entry.name.startswith(HIDDEN):
                continue
            path = f'{parent}/{entry.name}' if parent else entry.name
            parts = path.split('/')
            state: os.stat_result | None = None
            with suppress(OSError):
                state = entry.stat()
            if state is None or not stat.S_ISDIR(state.st_mode):
                if _fits(parts, pattern):
                    yield path, state
            elif (state.st_dev, state.st_ino) not in seen and _may_hold(parts, pattern):
                seen.add((state.st_dev, state.st_ino))
                todo.append(path)


def list_folder(
    folder: str | os.PathLike[str],
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    *,
    without: Collection[str] = (),
    pattern: Sequence[str] = EVERYTHING,
) -> FolderFiles:
    """List the files of a folder and its subfolders; no file is opened.

    Only regular files are used. Links are followed, each folder is entered once. Hidden files and
    folders do not count.

    Args:
        folder: The folder.
        suffixes: Of the files that are used, in any case.
        without: Folders that do not count.
        pattern: Parts of the paths that count, as of a shell; ``**`` stands for any folders.

    Raises:
        FileProblemError: a folder cannot be read.
    """
    folder = os.fspath(folder)
    names, others = [], defaultdict(list)
    for path, state in _members(folder, without, tuple(pattern)):
        suffix = os.path.splitext(path)[1].lower()
        if state is None:
            others['links to nothing'].append(path)
        elif not stat.S_ISREG(state.st_mode):
            others['no regular files'].append(path)
        elif suffix in suffixes:
            names.append(path)
        elif suffix not in BESIDE:
            others[suffix or 'without extension'].append(path)
    suffix = suffixes[0] if len(suffixes) == 1 else ''
    unused = {kind: sorted(there) for kind, there in others.items()}
    return FolderFiles(folder, sorted(names), unused, suffix)
