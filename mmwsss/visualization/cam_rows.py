"""Contents of the page of browse_cams.py: images with their maps, masks and predictions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mmwsss.datasets import read_mask
from mmwsss.datasets.masks import IGNORE_INDEX
from mmwsss.evaluation.cam_files import read_cam_file
from mmwsss.evaluation.mask_scores import mask_counts
from mmwsss.evaluation.pseudo_masks import pseudo_mask

from .overlay import IGNORE_COLOR
from .pages import write_page
from .report_data import MAPS
from .report_pictures import TRUTH, Painter, jpeg_uri

ALL = ''  # key of the mean over the classes of an image
LISTED, WORST, BEST = 'listed', 'worst', 'best'


class Column(NamedTuple):
    """A column of the page: a folder with one file per image.

    Args:
        kind: ``maps``, ``masks`` or ``predictions``.
        bg_score: Background score for comparing maps with the ground truth; None does not compare.
    """

    title: str
    kind: str
    folder: Path
    bg_score: float | None = None


class ImageFiles(NamedTuple):
    """The files of one image.

    Args:
        image: Path of the image.
        files: One path per column.
        truth: Path of the ground truth, if available.
    """

    name: str
    image: str
    files: tuple[str, ...]
    truth: str | None


class ImageScores(NamedTuple):
    """Classes and scores of an image.

    Args:
        tags: Foreground indices of its classes.
        scores: IoU in per cent by column and class index (as text); the mean has the key ``''``.
    """

    tags: list[int]
    scores: dict[str, dict[str, float]]


class Picture(NamedTuple):
    """A picture in a cell.

    Args:
        uri: Data URI.
        tag: Foreground index of the class that it shows, None for all classes.
    """

    uri: str
    tag: int | None


class CAMRow(NamedTuple):
    """A row of the page.

    Args:
        tags: Foreground indices of its classes.
        scores: See :class:`ImageScores`.
        cells: Pictures of each column.
        undecided: Whether a picture shows pixels without a class.
    """

    name: str
    tags: list[int]
    scores: dict[str, dict[str, float]]
    cells: list[list[Picture]]
    undecided: bool


def image_iou(
    pred: NDArray[np.uint8], target: NDArray[np.uint8], num_classes: int
) -> dict[str, float]:
    """Return the IoU of one image in per cent for the classes in either mask.

    Args:
        num_classes: Number of classes including background.

    Returns:
        IoU by class index (as text), and their mean with the key ``''``; empty if all pixels of
        the target are ignored.

    Shapes:
        pred, target: ``(H, W)`` uint8.

    Example:
        >>> image_iou(np.uint8([[0, 0, 2, 2]]), np.uint8([[0, 2, 2, 255]]), 3)
        {'': 50.0, '0': 50.0, '2': 50.0}
    """
    tp, found, true = mask_counts(pred, target, num_classes)
    present = np.flatnonzero(found + true)
    rates = 100 * tp[present] / (found + true - tp)[present]
    if not len(rates):
        return {}
    values = [(ALL, rates.mean()), *zip(present, rates, strict=True)]
    return {str(key): round(float(value), 1) for key, value in values}


def _mask_of_maps(keys: NDArray[np.int64], cams: NDArray, bg_score: float) -> NDArray[np.uint8]:
    maps = torch.from_numpy(cams).float()
    return pseudo_mask(torch.empty(0), keys, maps, bg_scores=[bg_score])


def score_image(task: ImageFiles, columns: Sequence[Column], num_classes: int) -> ImageScores:
    """Return the classes of an image and the scores of each column.

    The classes are those of the maps if there are any, otherwise of the ground truth, otherwise of
    the masks.

    Raises:
        ValueError: a file is damaged.
    """
    target, of_truth = None, []
    if task.truth is not None:
        target, of_truth = read_mask(task.truth, num_classes)
    of_maps: set[int] | None = None
    of_masks: set[int] = set()
    scores = {}
    for column, path in zip(columns, task.files, strict=True):
        if column.kind == MAPS:
            keys, cams = read_cam_file(path, num_classes)
            of_maps = (of_maps or set()).union(keys.tolist())
            mask = None if column.bg_score is None else _mask_of_maps(keys, cams, column.bg_score)
        else:
            mask, values = read_mask(path, num_classes)
            of_masks.update(values)
        if mask is not None and target is not None and mask.shape == target.shape:
            scores[column.title] = image_iou(mask, target, num_classes)
    values = of_masks if target is None else of_truth
    shown = {value - 1 for value in values if value not in (0, IGNORE_INDEX)}
    return ImageScores(sorted(shown if of_maps is None else of_maps), scores)


def make_row(
    task: ImageFiles, columns: Sequence[Column], palette: Sequence[Sequence[int]]
) -> CAMRow:
    """Read, score and draw the files of an image.

    Raises:
        ValueError: a file is damaged or belongs to another image.
    """
    painter = Painter(Path(task.image), palette)
    cells = [[Picture(jpeg_uri(painter.image), None)]]
    for column, path in zip(columns, task.files, strict=True):
        if column.kind == MAPS:
            keys, cams = painter.read_maps(Path(path))
            cells.append(
                [
                    Picture(jpeg_uri(painter.paint_map(cams[i])), int(keys[i]))
                    for i in keys.argsort()
                ]
            )
        else:
            cells.append([Picture(jpeg_uri(painter.paint(column.kind, Path(path))), None)])
    if task.truth is not None:
        cells.append([Picture(jpeg_uri(painter.paint(TRUTH, Path(task.truth))), None)])
    found = score_image(task, columns, len(palette))
    return CAMRow(task.name, found.tags, found.scores, cells, painter.undecided)


def order_names(
    found: Mapping[str, ImageScores], order: str, column: str, tag: int | None = None
) -> list[str]:
    """Filter images by class and sort them by IoU; images without an IoU are dropped if sorted.

    Args:
        found: Scores by image.
        order: ``listed`` (unsorted), ``worst`` or ``best`` first.
        column: Column whose IoU is used.
        tag: Foreground index of the class to filter by and to use the IoU of; None uses all images
            and the mean.

    Example:
        >>> found = dict(a=ImageScores([0], {'m': {'': 70.0, '1': 50.0}}), b=ImageScores([1], {}),
        ...              c=ImageScores([0, 1], {'m': {'': 60.0, '1': 80.0}}))
        >>> order_names(found, 'worst', 'm'), order_names(found, 'worst', 'm', tag=0)
        (['c', 'a'], ['a', 'c'])
        >>> order_names(found, 'listed', '', tag=1)
        ['b', 'c']
    """
    names = [name for name, image in found.items() if tag is None or tag in image.tags]
    if order == LISTED:
        return names
    key = ALL if tag is None else str(tag + 1)
    scores = {name: found[name].scores.get(column, {}).get(key) for name in names}
    known = {name: score for name, score in scores.items() if score is not None}
    return sorted(known, key=lambda name: known[name], reverse=order == BEST)


def write_cam_page(
    path: str | os.PathLike[str],
    rows: Sequence[CAMRow],
    columns: Sequence[Column],
    **contents: Any,
) -> None:
    """Write a self-contained page with one row per image that can be filtered and sorted.

    Args:
        path: HTML file, written atomically.
        columns: Columns between the image and the ground truth.
        **contents: ``title``, ``classes``, ``palette``, ``total`` (number of images), ``order``,
            ``by`` and ``tag`` (see :func:`order_names`).
    """
    scored = [c.title for c in columns if any(c.title in row.scores for row in rows)]
    titles = ['image', *(column.title for column in columns)]
    if any(len(row.cells) > len(titles) for row in rows):
        titles.append(TRUTH)
    shown = sorted({tag for row in rows for tag in row.tags})
    page = dict(
        rows=rows,
        titles=titles,
        scored=scored,
        shown=shown,
        maps=[column for column in columns if column.kind == MAPS],
        undecided=any(row.undecided for row in rows),
        ignore_color=IGNORE_COLOR,
    )
    write_page(path, 'browse_cams.html', page | contents)
