"""What all readers of image-level labels share: entries, errors, and the table of labels."""

from __future__ import annotations

import difflib
import json
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mmwsss.utils import FileProblemError, read_content, short_list

from ..image_names import ImageNameError, ImageNames, image_id, image_name, is_related

BACKGROUND_NAMES = ('background', 'bg', '_background_')


class LabelFileError(FileProblemError):
    """A label file says something that cannot be used; the text names file, entry and class."""

    kind = 'unusable label source'


def entry_error(
    text: str, place: str | os.PathLike[str] = '', *, kind: str = 'wrong entry', **parts: str
) -> LabelFileError:
    """Return the error for an entry that cannot be used, where others may be.

    Args:
        text: As of :class:`LabelFileError`, like the rest.
        place: File and entry.
        kind: What is wrong with the entry.
        **parts: ``details`` and ``advice``.
    """
    return LabelFileError(text, place, kind=kind, **parts)


# gets what is wrong with an entry, and raises it or goes on
Report = Callable[[LabelFileError], None]
Item = TypeVar('Item')
Parsed = TypeVar('Parsed')


def refuse(error: LabelFileError) -> None:
    """Raise an error: the :data:`Report` of whoever wants no labels but right ones."""
    raise error


def parsed(
    items: Iterable[Item], parse: Callable[[Item], Parsed], report: Report
) -> Iterator[Parsed]:
    """Yield what is made of each item that is right.

    Args:
        items: Parts of a source.
        parse: Makes an entry, or whatever is wanted, of an item, or raises.
        report: Gets the error for each of the others.
    """
    for item in items:
        try:
            result = parse(item)
        except LabelFileError as error:
            report(error)
        else:
            yield result


class LabelEntry(NamedTuple):
    """What a source says about an image.

    Args:
        image: Its name as it is written, with or without folder and extension.
        classes: File and line, or entry, of each class name as it is written.
        where: Line or entry.
    """

    image: str
    classes: Mapping[str, str]
    where: str


# path, class names with the background first, images that matter (None: all), report
Reader = Callable[[Path, Sequence[str], Sequence[str] | None, Report], Iterable[LabelEntry]]


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
        advice = 'save the file as UTF-8 (in a spreadsheet "CSV UTF-8").'
        text = f'byte {error.start} is not UTF-8 text'
        raise LabelFileError(text, path, advice=advice) from error
    except OSError as error:
        text = f'cannot be read ({error.strerror})'
        raise LabelFileError(text, path, advice='give the path of a label file.') from error


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
        place = f'{path}, line {error.lineno}, column {error.colno}'
        text = f'not valid JSON ({error.msg})'
        raise LabelFileError(text, place, advice='correct or make the file again.') from error
    except (RecursionError, ValueError) as error:
        deep = isinstance(error, RecursionError)
        reason = 'it is nested too deeply' if deep else 'it holds a number of thousands of digits'
        text = f'not usable as JSON ({reason})'
        raise LabelFileError(text, path, advice='make the file again.') from error


def text_lines(text: str) -> list[str]:
    """Return the lines of a text: only line feeds and carriage returns end one.

    A name may hold what else Python takes for the end of a line.

    Args:
        text: Of a file.
    """
    return text.replace('\r\n', '\n').replace('\r', '\n').split('\n')


def background_error(name: str, place: str) -> LabelFileError:
    """Return the error for an entry that names the background.

    Args:
        name: Of the background.
        place: File, and line or entry.
    """
    text = f'class {name!r} is the background, which every image may have'
    return entry_error(text, place, advice='leave it out of the labels.')


class LabelTable:
    """Collects the entries of one label source and reports what is wrong with them.

    Args:
        path: The source, named in errors.
        classes: Class names, background first.
        images: Paths or names of the images that entries may mean.
        report: Gets each error; what it does not raise is left out of the labels.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        classes: Sequence[str],
        images: Iterable[str | os.PathLike[str]] | None = None,
        report: Report = refuse,
    ) -> None:
        self.path = path
        self.background, *foreground = map(class_name, classes)
        self.foreground = tuple(foreground)
        self.report = report
        self.images = ImageNames(images or ())
        self._index = {name: k for k, name in enumerate(self.foreground)}
        self._refused: set[tuple[str, str]] = set()
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

    def indices(self, classes: Mapping[str, str]) -> tuple[int, ...]:
        """Return the sorted foreground indices of class names.

        Args:
            classes: Place of each class name, for errors.

        Raises:
            LabelFileError: a class is unknown or the background.
        """
        found = set()
        for written, place in classes.items():
            name = class_name(written)
            if name in self._index:
                found.add(self._index[name])
            elif (name, place) not in self._refused:
                self._refused.add((name, place))
                self.report(self._unknown(name, place))
        return tuple(sorted(found))

    def _unknown(self, name: str, place: str) -> LabelFileError:
        if name == self.background:
            return background_error(name, place)
        close = difflib.get_close_matches(name.lower(), [c.lower() for c in self.foreground], 1)
        guess = [c for c in self.foreground if close and c.lower() == close[0]]
        hint = f' (did you mean {guess[0]!r}?)' if guess else ''
        return entry_error(
            f'unknown class {name!r}{hint}',
            place,
            details=f'the {len(self.foreground)} classes are {short_list(self.foreground, 25)}',
            advice="correct the label or add the class to the data set's metainfo.",
            kind='unknown class',
        )

    def add(self, entry: LabelEntry) -> None:
        """Add the entry of an image.

        Args:
            entry: The entry.

        Raises:
            LabelFileError: a class is unknown, or the name of the image is empty or ambiguous, or
                it has an entry.
        """
        indices = self.indices(entry.classes)
        try:
            self._add(entry, indices)
        except LabelFileError as error:
            self.report(error)

    def _add(self, entry: LabelEntry, indices: tuple[int, ...]) -> None:
        whole, place = image_name(entry.image), f'{self.path}, {entry.where}'
        if not image_id(whole):
            raise entry_error('the name of the image is empty.', place)
        try:
            found = self.images.find(entry.image)
        except ImageNameError as error:
            raise entry_error(str(error), place) from error
        key = whole if found is None else found
        # names of which nothing is known may mean one image if the folders do not tell them apart
        alike = self._alike[image_id(key)]
        same = [key] if key in self._where else []
        if found is None:
            same += [other for other in alike if is_related(key, other)]
        if same:
            places = f'{self._where[same[0]]} and {entry.where}'
            text = f'image {image_id(key)!r} has two entries, {places}'
            raise entry_error(text, self.path, advice='keep one.', kind='duplicate entry')
        self._where[key] = entry.where
        if found is None:
            alike.append(key)
        (self._others if found is None else self._found)[key] = indices
