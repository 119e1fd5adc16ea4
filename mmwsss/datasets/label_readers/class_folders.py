"""Reader of image-level labels in folders that are named after classes."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from mmwsss.utils import read_content

from ..folder_files import list_folder
from ..image_names import ImageNameError, ImageNames, image_id
from .common import LabelEntry, LabelFileError, Report, entry_error

# masks are none of these
COLOURED = ('RGB', 'RGBA', 'CMYK', 'YCbCr')


def holds_class_folders(path: Path) -> bool:
    """Tell whether the subfolders of a folder hold photographs, not index masks.

    Args:
        path: The folder.
    """
    inner = [name for name in list_folder(path).names if '/' in name]
    if any(not name.lower().endswith('.png') for name in inner):
        return True
    try:
        with Image.open(path / inner[0]) as image:
            return image.mode in COLOURED
    except (IndexError, OSError, Image.DecompressionBombError):
        return False


def _copies(root: Path, files: Sequence[str], report: Report) -> dict[str, tuple[str, str]]:
    """Return a key of each file that only copies of it share: its name and a hash of its content.

    Files of other names are never opened.
    """
    count = Counter(map(image_id, files))
    keys = {}
    for file in files:
        name = image_id(file)
        keys[file] = name, ''
        if count[name] > 1:
            try:
                keys[file] = name, hashlib.sha256(read_content(root / file)).hexdigest()
            except OSError as error:
                report(
                    entry_error(
                        f'cannot be read ({error.strerror})',
                        root / file,
                        advice='make it readable, or remove it.',
                    )
                )
    return keys


def class_folder_entries(
    path: Path, classes: Sequence[str], images: Sequence[str] | None, report: Report
) -> Iterator[LabelEntry]:
    """Read photographs that lie in a folder for each class they show, ``cat/1.jpg``.

    Copies of a photograph, files of the same name and content, have the classes of all their
    folders. Photographs of the same name and different content are different ones. Those that lie
    in no subfolder show none of the classes.

    Args:
        path: The folder of the folders; what lies deeper belongs to the outermost.
        classes: Not used: the folders are named after classes.
        images: Paths or names of the images that matter; None: all.
        report: Gets an error for a photograph that cannot be told from another one.
    """
    files = list_folder(path)
    keys = _copies(path, files.names, report)
    tags: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for file, key in keys.items():
        folder, _, inner = file.partition('/')
        if inner:
            tags[key][folder] = os.path.join(path, folder)
    names = files.images if images is None else ImageNames(images)
    found: dict[str, str] = {}
    for file, key in keys.items():
        try:
            image = names.find(file)
        except ImageNameError as error:
            report(entry_error(str(error), path / file))
            continue
        if image is None and images is not None:
            continue
        first = found.setdefault(image or file, file)
        if first == file:
            yield LabelEntry(file, tags[key], file)
        elif keys[first] != key:
            report(_different(path, first, file))


def _different(path: Path, first: str, second: str) -> LabelFileError:
    text = f'{first} and {second} are different photographs of the same name'
    return entry_error(text, path, advice='rename one of them, in the folder of images, too.')
