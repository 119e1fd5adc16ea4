"""Photographs, and their masks, at the size that a network is made for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
from PIL import Image

from mmwsss.cli.mask_tools import make_folder, work_through
from mmwsss.datasets import ImageEntry, read_mask
from mmwsss.datasets.class_palettes import write_mask_file
from mmwsss.datasets.transforms import LoadImageChecked
from mmwsss.errors import UsageError
from mmwsss.utils import atomic_write, limited_size, remove_stale, shown

# nearly nothing is lost, at a quarter of the size of a PNG file
JPEG = dict(format='JPEG', quality=95, subsampling=0)


class Copy(NamedTuple):
    """A file to be made of another one."""

    source: str
    target: str


def is_larger(path: str, max_size: int) -> bool:
    """Tell whether the longer side of a photograph exceeds a length, by its header.

    Args:
        path: The photograph.
        max_size: Length in pixels.
    """
    with Image.open(path) as image:
        return max(image.size) > max_size


def usual_size(entries: Sequence[ImageEntry]) -> tuple[int, int]:
    """Return the median height and width of photographs, by their headers.

    Args:
        entries: The photographs, at least one.
    """
    sizes = []
    for entry in entries:
        with Image.open(entry.img_path) as image:
            sizes.append(image.size)
    widths, heights = (sorted(side) for side in zip(*sizes, strict=True))
    return heights[len(heights) // 2], widths[len(widths) // 2]


def _is_done(copy: Copy) -> bool:
    """Tell a copy of the file as it is now by its time."""
    if not os.path.isfile(copy.target):
        return False
    return os.stat(copy.source).st_mtime_ns == os.stat(copy.target).st_mtime_ns


def copy_image(copy: Copy, max_size: int) -> None:
    """Write a photograph upright and small enough; one that is small already as it is.

    Args:
        copy: Its files.
        max_size: Largest length of the longer side in pixels.

    Raises:
        ImageFileError: it cannot be read.
    """
    if not is_larger(copy.source, max_size):
        with open(copy.source, 'rb') as source, atomic_write(copy.target) as target:
            shutil.copyfileobj(source, target)
    else:
        image = LoadImageChecked()({'img_path': copy.source})['img']
        picture = Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        size = limited_size(picture.size, max_size)
        with atomic_write(copy.target) as target:
            picture.resize(size, Image.Resampling.BICUBIC).save(target, **JPEG)
    _set_time(copy)


def copy_mask(copy: Copy, max_size: int) -> None:
    """Write a mask at the size of its photograph's copy.

    Args:
        copy: Its files.
        max_size: Largest length of the longer side in pixels.

    Raises:
        MaskError: it cannot be read or written.
    """
    mask = read_mask(copy.source, None)[0]
    size = limited_size(mask.shape[::-1], max_size)
    mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    write_mask_file(copy.target, mask)
    _set_time(copy)


def _set_time(copy: Copy) -> None:
    """Note of which state of the source the copy is."""
    time = os.stat(copy.source).st_mtime_ns
    os.utime(copy.target, ns=(time, time))


def _write(
    function: Callable[[Copy, int], None], copies: Sequence[Copy], max_size: int, workers: int
) -> None:
    """Write the copies that are missing or old into their folder, and take out others."""
    folder = os.path.dirname(copies[0].target)
    make_folder(folder)
    remove_stale(folder)
    for name in set(os.listdir(folder)) - {os.path.basename(copy.target) for copy in copies}:
        os.remove(os.path.join(folder, name))
    todo = [copy for copy in copies if not _is_done(copy)]
    work = partial(function, max_size=max_size)
    for _ in work_through(work, todo, workers=workers, description='copies'):
        pass


def flat_name(entry: ImageEntry) -> str:
    """Return the name of a photograph in one folder with all others.

    Args:
        entry: The photograph.

    Example:
        >>> flat_name(ImageEntry('im/dog/001.jpg', name='dog/001'))
        'dog__001'
    """
    return entry.image_id.replace('/', '__')


def fit_images(
    entries: Sequence[ImageEntry], work_dir: str, max_size: int, *, workers: int
) -> list[ImageEntry]:
    """Return photographs in one folder that are small enough, copies where need be.

    Every stage reads photographs at their full size, and networks expect objects of the size
    that they learned from; so the photographs of a telephone are made smaller once. If one is too
    large, or lies in a subfolder, or its mask does, all are copied, those that are small enough
    byte by byte. Copies that are there are kept.

    Args:
        entries: The photographs, checked, and their masks.
        work_dir: The copies go into ``images_{max_size}`` and ``masks_{max_size}`` in it.
        max_size: Largest length of the longer side in pixels.
        workers: Number of processes.

    Raises:
        UsageError: the photographs lie in ``work_dir``, or a copy cannot be written.
    """
    larger = [is_larger(entry.img_path, max_size) for entry in entries]
    places = [{os.path.dirname(entry.img_path) for entry in entries}]
    places.append({os.path.dirname(e.seg_map_path) for e in entries if e.seg_map_path})
    if not any(larger) and all(len(folders) < 2 for folders in places):
        return list(entries)
    images, masks = (os.path.join(work_dir, f'{name}_{max_size}') for name in ('images', 'masks'))
    for path in (path for entry in entries for path in (entry.img_path, entry.seg_map_path)):
        if path is not None and Path(path).resolve().is_relative_to(Path(work_dir).resolve()):
            raise UsageError(
                f'{path} lies in --work-dir {work_dir}, where the copies go: name the folder of '
                'the originals, or another --work-dir.'
            )
    out, mask_copies = [], []
    owners: dict[str, ImageEntry] = {}
    for entry, large in zip(entries, larger, strict=True):
        flat = flat_name(entry)
        owner = owners.setdefault(flat, entry)
        if owner is not entry:
            raise UsageError(
                f'The copies of {shown(owner.img_path)} and {shown(entry.img_path)} would have '
                'the same name: rename one.'
            )
        name = flat + ('.jpg' if large else os.path.splitext(entry.img_path)[1])
        mask = None
        if entry.seg_map_path is not None:
            mask = os.path.join(masks, f'{flat}.png')
            mask_copies.append(Copy(entry.seg_map_path, mask))
        out.append(ImageEntry(os.path.join(images, name), mask))
    image_copies = [Copy(a.img_path, b.img_path) for a, b in zip(entries, out, strict=True)]
    _write(copy_image, image_copies, max_size, workers)
    if mask_copies:
        _write(copy_mask, mask_copies, max_size, workers)
    return out
