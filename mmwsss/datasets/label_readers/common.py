"""What all readers of image-level labels share: names, class look-up, errors."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mmwsss.utils import FileProblemError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.gif', '.ppm', '.pgm')
BACKGROUND_NAMES = ('background', 'bg', '_background_')


class LabelFileError(FileProblemError):
    """A label file says something that cannot be used; the text names file, entry and class."""


def image_id(path: str | os.PathLike[str]) -> str:
    r"""Return the name of an image without folders and without an image file's extension.

    Args:
        path: Path or name; ``\`` counts as a separator like ``/``. A name whose extension is
            not that of an image is kept whole.

    Example:
        >>> image_id('JPEGImages/2007_000032.jpg'), image_id('2007_000032'), image_id('scan.v2')
        ('2007_000032', '2007_000032', 'scan.v2')
    """
    name = PurePosixPath(os.fspath(path).replace('\\', '/')).name
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def short_list(names: Iterable[object], limit: int = 5) -> str:
    """Return the first names as text, with dots where more follow.

    Args:
        names: What to list.
        limit: How many are written out.

    Example:
        >>> short_list('abc', limit=2)
        'a, b ...'
    """
    texts = [str(name) for name in names]
    return ', '.join(texts[:limit]) + (' ...' if len(texts) > limit else '')


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises:
        LabelFileError: the file is missing or is not UTF-8.
    """
    try:
        return path.read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise LabelFileError(
            f'{path}: byte {error.start} is not UTF-8 text: save the file as UTF-8 '
            '(in a spreadsheet "CSV UTF-8").'
        ) from error
    except OSError as error:
        raise LabelFileError(
            f'{path}: cannot be read ({error.strerror}): give the path of a label file.'
        ) from error


class LabelTable:
    """Collects the entries of one label source and refuses what is wrong with them.

    Args:
        path: The source, named in errors.
        classes: Class names, background first.

    Attributes:
        labels: Image id to sorted foreground indices.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self.path = path
        self.background, self.foreground = classes[0], tuple(classes[1:])
        self.labels: dict[str, tuple[int, ...]] = {}
        self._index = {name: k for k, name in enumerate(self.foreground)}
        self._where: dict[str, str] = {}

    def class_index(self, name: str, where: str) -> int:
        """Return the foreground index of a class name.

        Args:
            name: Class name as written in the source.
            where: Line or entry, for the error.

        Raises:
            LabelFileError: the class is unknown or the background.
        """
        if name in self._index:
            return self._index[name]
        if name == self.background:
            raise LabelFileError(
                f'{self.path}, {where}: class {name!r} is the background, which every image '
                'may have: leave it out of the labels.'
            )
        close = difflib.get_close_matches(name.lower(), [c.lower() for c in self.foreground], 1)
        guess = [c for c in self.foreground if close and c.lower() == close[0]]
        hint = f' (did you mean {guess[0]!r}?)' if guess else ''
        raise LabelFileError(
            f'{self.path}, {where}: unknown class {name!r}{hint}; the {len(self.foreground)} '
            f'classes are {short_list(self.foreground, 25)}: correct the label or add the class '
            "to the data set's metainfo."
        )

    def add(self, image: str, indices: Iterable[int], where: str) -> None:
        """Add the entry of an image.

        Args:
            image: Name of the image, with or without folder and extension.
            indices: Foreground indices.
            where: Line or entry, for the error.

        Raises:
            LabelFileError: the name is empty or the image has an entry.
        """
        key = image_id(image.strip())
        if not key:
            raise LabelFileError(f'{self.path}, {where}: the name of the image is empty.')
        if key in self._where:
            raise LabelFileError(
                f'{self.path}: image {key!r} has two entries, {self._where[key]} and {where}: '
                'keep one.'
            )
        self._where[key] = where
        self.labels[key] = tuple(sorted(set(indices)))

    def add_names(self, image: str, names: Iterable[str], where: str) -> None:
        """Add the entry of an image by class names; arguments as for :meth:`add`."""
        self.add(image, [self.class_index(name, where) for name in names], where)
