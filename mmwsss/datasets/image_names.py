"""What names an image: the one rule of readers, checks, pipelines, evaluation and inference."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from mmwsss.utils import FileProblemError, shown

IMAGE_SUFFIXES = (
    *('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.webp'),
    *('.tif', '.tiff', '.gif', '.ppm', '.pgm'),
)


class ImageNameError(FileProblemError):
    """Two images have one name, or a name may mean two images; the text names both."""


def _plain(part: str, suffixes: tuple[str, ...] = ()) -> str:
    """Return a part of a path without blanks at its ends and without extensions."""
    part = unicodedata.normalize('NFC', part).strip()
    stem, suffix = os.path.splitext(part)
    while suffix.lower() in suffixes and suffix:
        part = stem.strip()
        stem, suffix = os.path.splitext(part)
    return part


def image_name(path: str | os.PathLike[str]) -> str:
    r"""Return the name of an image with its folders, as :func:`image_id` names it without.

    Args:
        path: Path or name.

    Example:
        >>> image_name('walks\\rex.JPG'), image_name('./walks/rex')
        ('walks/rex', 'walks/rex')
    """
    *folders, file = os.fspath(path).replace('\\', '/').split('/')
    parts = [_plain(part) for part in folders]
    return '/'.join([*(part for part in parts if part not in ('', '.')), image_id(file)])


def image_id(path: str | os.PathLike[str]) -> str:
    r"""Return the name of an image without folders and without an image file's extension.

    Case counts, but not in the extension. Two extensions are both left out (``rex.jpg.png`` is a
    mask of ``rex.jpg``), as are blanks at the ends, and letters are in Unicode's composed form,
    whatever a file system made of them. So the name of a name is the same name.

    Args:
        path: Path or name; ``\`` counts as a separator like ``/``. A name whose extension is
            not that of an image is kept whole.

    Example:
        >>> image_id('JPEGImages/2007_000032.jpg'), image_id('2007_000032'), image_id('scan.v2')
        ('2007_000032', '2007_000032', 'scan.v2')
        >>> image_id('rex.jpg.PNG'), image_id(' rex.jpg')
        ('rex', 'rex')
    """
    return _plain(os.fspath(path).replace('\\', '/').rpartition('/')[2], IMAGE_SUFFIXES)


def is_related(name: str, other: str) -> bool:
    """Tell whether one of two names is the other one with further folders before it, or none.

    Args:
        name: As :func:`image_name` gives it.
        other: Another one.
    """
    return f'/{name}'.endswith(f'/{other}') or f'/{other}'.endswith(f'/{name}')


class ImageNames:
    """The names of some images, by which other names of them are understood.

    The name of an image is that without folders, or, if several have it, that with those folders
    that are not common to all.

    Args:
        paths: Of the images, or of files that are named after them.
        suffix: Of such files.

    Raises:
        ImageNameError: an image has no name.

    Example:
        >>> names = ImageNames(['im/dog/001.jpg', 'im/cat/001.jpg', 'im/cat/002.jpg'])
        >>> list(names.paths)
        ['dog/001', 'cat/001', '002']
        >>> names.find('cat/001.png'), names.find('002'), names.find('dog/002')
        ('cat/001', '002', None)
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]], suffix: str = '') -> None:
        given = list(dict.fromkeys(os.fspath(path) for path in paths))
        whole = [image_name(_without(path, suffix)) for path in given]
        root = _common_folder(whole)
        self._owners: dict[str, list[str]] = defaultdict(list)
        self._groups: dict[str, list[str]] = defaultdict(list)
        for path, name in zip(given, whole, strict=True):
            _check_name(path, name)
            self._owners[name[root:]].append(path)
        for name in self._owners:
            self._groups[image_id(name)].append(name)

    def _short(self, name: str) -> str:
        """Return a name without the folders that it does not need."""
        short = image_id(name)
        return short if len(self._groups[short]) == 1 else name

    @cached_property
    def of(self) -> dict[str, str]:
        """Name of each image by its path, whether it is the only one of that name or not."""
        return {path: self._short(name) for name, paths in self._owners.items() for path in paths}

    @cached_property
    def paths(self) -> dict[str, str]:
        """Path of each image by its name.

        Raises:
            ImageNameError: two images have the same name with their folders.
        """
        return {self._short(name): self._only(name) for name in self._owners}

    def _only(self, name: str) -> str:
        first, *others = self._owners[name]
        if others:
            raise ImageNameError(
                f'{shown(first)} and {shown(others[0])} have the same name, {shown(name)}: keep '
                'or rename one of them.'
            )
        return first

    def _find(self, name: str | os.PathLike[str]) -> str | None:
        """Return the name with all folders."""
        whole = image_name(name)
        related = [
            other for other in self._groups.get(image_id(whole), ()) if is_related(whole, other)
        ]
        # of those with fewer folders than it has, the one that says most
        inner = [other for other in related if len(other) <= len(whole)]
        found = [max(inner, key=len)] if inner else related
        if len(found) > 1:
            both = ' or '.join(shown(self._owners[other][0]) for other in found[:2])
            raise ImageNameError(
                f'{shown(name)} may mean {both}: write the folder before the name.'
            )
        return found[0] if found else None

    def find(self, name: str | os.PathLike[str]) -> str | None:
        """Return which image another name of it means, None if it means none.

        Folders may be left out or be more than those of the image, but not others.

        Args:
            name: With or without folders and extension.

        Raises:
            ImageNameError: it may mean several.
        """
        found = self._find(name)
        if found is None:
            return None
        self._only(found)
        return self._short(found)

    def path_of(self, name: str | os.PathLike[str]) -> str | None:
        """Return the path of the image that a name means, None if it means none.

        Args:
            name: As of :meth:`find`; the path itself tells images that differ in the extension.

        Raises:
            ImageNameError: it may mean several.
        """
        if os.fspath(name) in self.of:
            return os.fspath(name)
        found = self._find(name)
        return None if found is None else self._only(found)

    def match(self, paths: Iterable[str | os.PathLike[str]], suffix: str = '') -> dict[str, str]:
        """Return the file of each image, by the name of the image, in the order of the images.

        Args:
            paths: Of files that are named after images; those of other images are left out.
            suffix: Of these files, where it is not that of an image.

        Raises:
            ImageNameError: two files are of one image, or one may be of two.
        """
        found: dict[str, str] = {}
        for path in (os.fspath(given) for given in paths):
            name = self.find(_without(path, suffix))
            if name is not None and found.setdefault(name, path) != path:
                raise ImageNameError(
                    f'{shown(found[name])} and {shown(path)} both belong to the image '
                    f'{shown(name)}: keep one, or give them the folders of their images.'
                )
        return {name: found[name] for name in self.of.values() if name in found}


def _without(path: str, suffix: str) -> str:
    """Return a path without an extension that is none of an image's."""
    return path[: -len(suffix)] if suffix and path.lower().endswith(suffix) else path


def _check_name(path: str, whole: str) -> None:
    """Refuse a name under which no result can be stored or listed."""
    name = image_id(whole)
    if not name or name.startswith('.') or '\n' in name or '\r' in name:
        raise ImageNameError(
            f'{shown(path)} holds a line break, or no name before the extension: rename the file.'
        )


def _common_folder(names: list[str]) -> int:
    """Return the length of the folders that begin all names."""
    folders = [name.rpartition('/')[0].split('/') for name in names]
    common = os.path.commonprefix(folders)
    length = len('/'.join(common))
    return length + 1 if length else 0
