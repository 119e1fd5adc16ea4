"""Image-level labels from any source: image id to the indices of its foreground classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .folder_files import list_folder
from .label_readers import (
    LabelFileError,
    read_csv_labels,
    read_json_labels,
    read_mask_labels,
    read_npy_labels,
    read_voc_xml,
)

ImageLabels = dict[str, tuple[int, ...]]

_READERS = {'.csv': read_csv_labels, '.json': read_json_labels, '.npy': read_npy_labels}


def _reader(path: Path) -> Callable[..., ImageLabels]:
    """Choose the reader by the kind of path."""
    if path.is_dir():
        for suffix, reader in (('.xml', read_voc_xml), ('.png', read_mask_labels)):
            if list_folder(path, (suffix,)).names:
                return reader
        raise LabelFileError(
            f'{path}: a folder without VOC annotations (.xml) or masks (.png): give a folder of '
            'either, or a .csv, .json or .npy file.'
        )
    if not path.exists():
        raise LabelFileError(
            f'{path}: does not exist: give image_labels as a folder of VOC annotations (.xml), or '
            'a .csv, .json or .npy file.'
        )
    if path.suffix.lower() not in _READERS:
        raise LabelFileError(
            f'{path}: received a {path.suffix or "nameless"} file where a folder of .xml files, '
            'or a .csv, .json or .npy file is expected.'
        )
    return _READERS[path.suffix.lower()]


def read_image_labels(
    path: str | os.PathLike[str],
    classes: Sequence[str],
    *,
    images: Iterable[str | os.PathLike[str]] | None = None,
) -> ImageLabels:
    """Read image-level labels; the kind of source is told by the path.

    ===================  =====================================================================
    path                 source
    ===================  =====================================================================
    folder of ``.xml``   PASCAL VOC annotations
    folder of ``.png``   index masks (for making label files; training never opens masks)
    ``.json``            COCO instances, or ``{"image": ["dog"]}``
    ``.csv``             columns ``image,labels``, labels separated by ``;``
    ``.npy``             the community's ``cls_labels.npy``, read without running what is in it
    ===================  =====================================================================

    Args:
        path: File or folder.
        classes: Class names as in METAINFO, background first.
        images: Names, paths or ids of the images that matter: of a folder only their files are
            read, and the integer keys of an ``.npy`` file are decoded to them. A file is read
            and checked whole, so the result may hold more. Default: all.

    Returns:
        Image id (name without extension) to sorted foreground indices, possibly none. Images
        that the source does not name have no entry.

    Raises:
        LabelFileError: the source cannot be read or says something wrong; the text names file,
            line or entry, and class.
    """
    path = Path(path)
    wanted = None if images is None else [os.fspath(path) for path in images]
    return _reader(path)(path, classes, wanted)


__all__ = ['ImageLabels', 'LabelFileError', 'read_image_labels']
