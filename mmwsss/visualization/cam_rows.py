"""Images with their maps, masks and predictions: what the page of browse_cams.py shows."""

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
    """A folder with a file an image.

    Args:
        title: Its heading.
        kind: ``maps``, ``masks`` or ``predictions``.
        folder: The folder.
        bg_score: Background score at which maps are compared with the truth; None: they are not.
    """

    title: str
    kind: str
    folder: Path
    bg_score: float | None = None


class ImageFiles(NamedTuple):
    """The files of one image.

    Args:
        name: Of the image.
        image: The image.
        files: One a column.
        truth: The true mask, None where there is none.
    """

    name: str
    image: str
    files: tuple[str, ...]
    truth: str | None


class ImageScores(NamedTuple):
    """What is known of an image without painting it.

    Args:
        tags: Foreground indices of its classes.
        scores: By column its IoU in per cent, by class index as text and their mean as ``''``.
    """

    tags: list[int]
    scores: dict[str, dict[str, float]]


class Picture(NamedTuple):
    """A picture of a cell.

    Args:
        uri: The picture itself.
        tag: Foreground index of the class that it is of, None for all.
    """

    uri: str
    tag: int | None


class CAMRow(NamedTuple):
    """An image with all that was made of it.

    Args:
        name: Of the image.
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
    """Return the IoU of one image in per cent, of the classes that occur in either mask.

    Args:
        pred: Predicted mask.
        target: True mask.
        num_classes: Classes with background.

    Returns:
        By class index as text, and their mean as ``''``; empty where the truth is nowhere known.

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
    """Return the classes of an image and how well each column agrees with its true mask.

    The classes are those of the maps; without maps those of the truth, or else of the masks.

    Args:
        task: The image.
        columns: What its files are.
        num_classes: Classes with background.

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
    """Read, compare and paint the files of an image.

    Args:
        task: The image.
        columns: What its files are.
        palette: RGB of every class.

    Raises:
        ValueError: a file is damaged, or of another image.
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
    """Return the images that have a class and, where they are ordered by it, an IoU.

    Args:
        found: By image.
        order: ``listed`` (as they are), ``worst`` or ``best`` first.
        column: Whose IoU counts.
        tag: Foreground index of a class that the images have, whose IoU counts then; None: all.

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
    """Write the page: a row an image, to be filtered by class and ordered by IoU.

    Pictures stand in the file itself; a few lines of script filter and order.

    Args:
        path: HTML file; it appears when it is complete.
        rows: The images.
        columns: What their cells are, after the image and before the truth.
        **contents: ``title``, ``classes``, ``palette``, ``total`` (images that there are),
            ``order``, ``by`` and ``tag`` (see :func:`order_names`).
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
