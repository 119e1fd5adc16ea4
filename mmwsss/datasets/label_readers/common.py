"""What all readers of image-level labels share: names, class look-up, errors."""

from __future__ import annotations

import difflib
import json
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mmwsss.utils import FileProblemError, read_content, short_list

from ..folder_files import list_folder
from ..image_names import ImageNameError, ImageNames, image_id, image_name, is_related

BACKGROUND_NAMES = ('background', 'bg', '_background_')


class LabelFileError(FileProblemError):
    """A label file says something that cannot be used; the text names file, entry and class."""


def class_name(text: str) -> str:
    """Return a class name as it is compared: blanks at its ends and Unicode forms do not count.

    Args:
        text: As a source or a user writes it.
    """
    return unicodedata.normalize('NFC', text).strip()


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises:
        LabelFileError: the file is missing or is not UTF-8.
    """
    try:
        return read_content(path).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise LabelFileError(
            f'{path}: byte {error.start} is not UTF-8 text: save the file as UTF-8 '
            '(in a spreadsheet "CSV UTF-8").'
        ) from error
    except OSError as error:
        raise LabelFileError(
            f'{path}: cannot be read ({error.strerror}): give the path of a label file.'
        ) from error


def files_of_images(
    folder: Path, suffix: str, images: Iterable[str | os.PathLike[str]] | None
) -> dict[str, Path]:
    """Return the file of each image in a folder and below it, by the name of the image.

    Args:
        folder: The folder.
        suffix: Of its files.
        images: Paths or names of the images that matter; None: all that have a file.

    Raises:
        ImageNameError: two files are of one image, or one may be of two.
    """
    files = list_folder(folder, (suffix,))
    found = files.paths() if images is None else files.of(ImageNames(images))
    return {name: Path(path) for name, path in found.items()}


def parse_json(path: Path, hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return what a JSON file holds.

    Args:
        path: The file.
        hook: Makes an object of its pairs.

    Raises:
        LabelFileError: it cannot be read or is no JSON that Python takes.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=hook)
    except json.JSONDecodeError as error:
        raise LabelFileError(
            f'{path}, line {error.lineno}, column {error.colno}: not valid JSON ({error.msg}): '
            'correct or make the file again.'
        ) from error
    except (RecursionError, ValueError) as error:
        deep = isinstance(error, RecursionError)
        reason = 'it is nested too deeply' if deep else 'it holds a number of thousands of digits'
        raise LabelFileError(
            f'{path}: not usable as JSON ({reason}): make the file again.'
        ) from error


def text_lines(text: str) -> list[str]:
    """Return the lines of a text: only line feeds and carriage returns end one.

    A name may hold what else Python takes for the end of a line.

    Args:
        text: Of a file.
    """
    return text.replace('\r\n', '\n').replace('\r', '\n').split('\n')


class LabelTable:
    """Collects the entries of one label source and refuses what is wrong with them.

    Args:
        path: The source, named in errors.
        classes: Class names, background first.
        images: Paths or names of the images that entries may mean.
    """

    def __init__(
        self,
        path: Path,
        classes: Sequence[str],
        images: Iterable[str | os.PathLike[str]] | None = None,
    ) -> None:
        self.path = path
        self.background, *foreground = map(class_name, classes)
        self.foreground = tuple(foreground)
        self._index = {name: k for k, name in enumerate(self.foreground)}
        self.images = ImageNames(images or ())
        self._found: dict[str, tuple[int, ...]] = {}
        self._others: dict[str, tuple[int, ...]] = {}
        self._where: dict[str, str] = {}
        self._alike: dict[str, list[str]] = defaultdict(list)

    @property
    def labels(self) -> dict[str, tuple[int, ...]]:
        """Sorted foreground indices by the name of the image, see :class:`ImageNames`.

        An entry of no image has its own name, with folders where that is one of another entry.
        """
        found = dict(self._found)
        for whole, indices in self._others.items():
            short = image_id(whole)
            alone = len(self._alike[short]) == 1 and short not in self._found
            found[short if alone else whole] = indices
        return found

    def class_index(self, name: str, where: str) -> int:
        """Return the foreground index of a class name.

        Args:
            name: Class name as written in the source.
            where: Line or entry, for the error.

        Raises:
            LabelFileError: the class is unknown or the background.
        """
        name = class_name(name)
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
            LabelFileError: the name is empty or ambiguous, or the image has an entry.
        """
        whole = image_name(image)
        if not image_id(whole):
            raise LabelFileError(f'{self.path}, {where}: the name of the image is empty.')
        try:
            found = self.images.find(image)
        except ImageNameError as error:
            raise LabelFileError(f'{self.path}, {where}: {error}') from error
        key = whole if found is None else found
        # names of which nothing is known may mean one image if the folders do not tell them apart
        alike = self._alike[image_id(key)]
        same = [key] if key in self._where else []
        if found is None:
            same += [other for other in alike if is_related(key, other)]
        if same:
            raise LabelFileError(
                f'{self.path}: image {image_id(key)!r} has two entries, {self._where[same[0]]} and '
                f'{where}: keep one.'
            )
        self._where[key] = where
        if found is None:
            alike.append(key)
        (self._others if found is None else self._found)[key] = tuple(sorted(set(indices)))

    def add_names(self, image: str, names: Iterable[str], where: str) -> None:
        """Add the entry of an image by class names; arguments as for :meth:`add`."""
        self.add(image, [self.class_index(name, where) for name in names], where)
