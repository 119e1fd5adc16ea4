"""Pictures of a report: the results of all stages for some images, as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmwsss.datasets import read_mask
from mmwsss.datasets.folder_files import list_folder
from mmwsss.datasets.masks import IGNORE_INDEX, MaskError
from mmwsss.datasets.transforms import decode_image
from mmwsss.evaluation.cam_files import read_cam_file
from mmwsss.evaluation.cam_images import check_cam_size
from mmwsss.utils import read_content
from mmwsss.visualization.encoding import encode_picture

from .overlay import draw_cam, draw_mask
from .report_data import MAPS, MASKS, SUFFIXES, ReportData

WIDTH = 220  # maximum width of a picture in pixels
JPEG_QUALITY = 85
TRUTH = 'truth'


class PictureRow(NamedTuple):
    """The results of all stages for an image.

    Args:
        tags: Foreground indices of its classes.
        pictures: Data URIs in the order of the columns.
    """

    name: str
    tags: list[int]
    pictures: list[str]


class PictureGrid(NamedTuple):
    """The results of all stages for several images.

    Args:
        columns: Titles.
        rows: One row per image.
        maps: Whether a column shows maps.
        undecided: Whether a picture shows pixels without a class.
    """

    columns: list[str]
    rows: list[PictureRow]
    maps: bool
    undecided: bool


def spread(names: Sequence[str], number: int) -> list[str]:
    """Return up to ``number`` evenly spaced names.

    Example:
        >>> spread('abcdefg', 3), spread('ab', 3)
        (['a', 'd', 'g'], ['a', 'b'])
    """
    places = np.linspace(0, len(names) - 1, min(number, len(names)))
    return [names[i] for i in places.round().astype(int)]


def jpeg_uri(picture: NDArray[np.uint8]) -> str:
    """Return a picture as a data URI.

    Shapes:
        picture: ``(H, W, 3)`` uint8, RGB.
    """
    # no chroma subsampling, because the edges of masks are edges of colour
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    content = encode_picture(picture, '.jpg', options)
    return f'data:image/jpeg;base64,{base64.b64encode(content).decode()}'


def shrink(picture: NDArray, interpolation: int = cv2.INTER_AREA) -> NDArray:
    """Downscale a picture, map or mask to the width at which it is shown.

    Args:
        interpolation: OpenCV's interpolation, nearest for masks.

    Shapes:
        picture: ``(H, W)`` or ``(H, W, 3)``.
    """
    height, width = picture.shape[:2]
    if width <= WIDTH:
        return picture
    size = (WIDTH, max(1, round(height * WIDTH / width)))
    return cv2.resize(picture, size, interpolation=interpolation)


class Painter:
    """Reads and draws the files of one image.

    Args:
        path: Path of the image.
        palette: RGB of every class.

    Raises:
        ImageFileError: the image cannot be read.
    """

    def __init__(self, path: Path, palette: Sequence[Sequence[int]]) -> None:
        self.path = path
        image = decode_image(read_content(path), str(path))[..., ::-1]
        self.size = image.shape[:2]
        self.image = shrink(np.ascontiguousarray(image))
        self.palette = palette
        self.tags: list[int] | None = None
        self.undecided = False

    def paint(self, kind: str, path: Path) -> NDArray[np.uint8]:
        """Read and draw a file.

        Args:
            kind: ``maps``, ``masks``, ``predictions`` or ``truth``.

        Raises:
            ValueError: it is damaged or belongs to another image.
        """
        if kind != MAPS:
            return self.paint_mask(self.read_mask(path, is_truth=kind == TRUTH))
        # masks are also decided by the maximum over classes
        return self.paint_map(self.read_maps(path)[1].max(axis=0, initial=0))

    def read_maps(self, path: Path) -> tuple[NDArray[np.int64], NDArray]:
        """Return keys ``(n,)`` and maps ``(n, H, W)`` of a file, and set ``tags`` to the keys.

        Raises:
            CAMFileError: it is damaged or belongs to another image.
        """
        keys, cams = read_cam_file(path, len(self.palette))
        check_cam_size(path, cams, self.path, self.size)
        self.tags = keys.tolist()
        return keys, cams

    def read_mask(self, path: Path, *, is_truth: bool) -> NDArray[np.uint8]:
        """Return a mask ``(H, W)``; the ground truth also sets ``tags`` if there are no maps.

        Raises:
            MaskError: it is damaged or belongs to another image.
        """
        mask, values = read_mask(path, len(self.palette))
        if mask.shape != self.size:
            raise MaskError(
                f'mask {path} is {mask.shape[1]} x {mask.shape[0]} where the image {self.path} is '
                f'{self.size[1]} x {self.size[0]}: give the images that the masks were made of.'
            )
        self.undecided |= IGNORE_INDEX in values
        if is_truth and self.tags is None:
            self.tags = [value - 1 for value in values if value not in (0, IGNORE_INDEX)]
        return mask

    def paint_map(self, cam: NDArray) -> NDArray[np.uint8]:
        """Draw a normalised map ``(H, W)`` over the image."""
        return draw_cam(self.image, shrink(cam.astype(np.float32)))

    def paint_mask(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw a mask ``(H, W)`` over the image."""
        return draw_mask(self.image, shrink(mask, cv2.INTER_NEAREST), self.palette)


def files_by_name(folder: Path | None, suffix: str) -> dict[str, Path]:
    """Return the files of a folder by the name of the image; empty without a folder."""
    if folder is None:
        return {}
    if not Path(folder).is_dir():
        return {}
    files = list_folder(folder, (suffix,)).paths()
    return {name: Path(path) for name, path in files.items()}


class _Column(NamedTuple):
    """Files of a stage, or the ground truth, by the name of the image."""

    title: str
    kind: str
    files: Mapping[str, Path]


def _columns(data: ReportData, split: str) -> list[_Column]:
    """Return the stages with files of a split."""
    columns = [
        _Column(stage.name, stage.makes, files_by_name(stage.folders[split], SUFFIXES[stage.makes]))
        for stage in data.stages
        if stage.makes in SUFFIXES and split in stage.folders
    ]
    return [column for column in columns if column.files]


def picture_rows(data: ReportData, split: str, number: int) -> PictureGrid | None:
    """Return the results of all stages for images of a split, None if there are none.

    The images are evenly spaced among those with files of every stage and, if available, ground
    truth.

    Args:
        number: Maximum number of images.

    Raises:
        ValueError: a file is damaged or belongs to another image.
    """
    columns = _columns(data, split)
    folder = data.images.get(split)
    if folder is None or not columns:
        return None
    pictures = list_folder(folder).images
    images = {name: Path(folder, path) for path, name in pictures.of.items()}
    names = set(images).intersection(*(column.files for column in columns))
    truth = files_by_name(data.masks.get(split), SUFFIXES[MASKS])
    if names.intersection(truth):
        names = names.intersection(truth)
        columns.append(_Column(TRUTH, TRUTH, truth))
    rows, undecided = [], False
    for name in spread(sorted(names), number):
        painter = Painter(images[name], data.palette)
        painted = [painter.paint(column.kind, column.files[name]) for column in columns]
        pictures = [jpeg_uri(picture) for picture in (painter.image, *painted)]
        rows.append(PictureRow(name, painter.tags or [], pictures))
        undecided |= painter.undecided
    titles = ['image', *(column.title for column in columns)]
    has_maps = any(column.kind == MAPS for column in columns)
    return PictureGrid(titles, rows, has_maps, undecided) if rows else None
