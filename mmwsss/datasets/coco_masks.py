"""COCO instances drawn as index masks, without pycocotools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .class_palettes import write_mask_file
from .image_names import image_id
from .label_readers.common import LabelFileError
from .masks import IGNORE_INDEX

FARTHEST = 1e9  # pixels, from the corner of an image to a point of a polygon
BoolMask = NDArray[np.bool_]


def decode_counts(text: str | bytes) -> list[int]:
    """Return the run lengths of a compressed COCO mask.

    Numbers are written in groups of five bits, lowest first, the sixth bit telling that more
    follow; from the fourth on, each is the difference to the one before the last.

    Source: ``rleFrString`` in https://github.com/cocodataset/cocoapi

    Args:
        text: ``counts`` of an annotation.

    Raises:
        ValueError: the text holds a foreign character or ends within a number.

    Example:
        >>> decode_counts('52203')
        [5, 2, 2, 2, 5]
    """
    counts: list[int] = []
    value = shift = 0
    for byte in text.encode() if isinstance(text, str) else text:
        bits = byte - 48
        if not 0 <= bits < 64:
            raise ValueError(f'its run lengths hold the character {chr(byte)!r}')
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        if len(counts) > 2:
            value += counts[-2]
        counts.append(value)
        value = shift = 0
    if shift:
        raise ValueError('its run lengths end within a number')
    return counts


def rle_mask(rle: Mapping[str, Any], height: int, width: int) -> BoolMask:
    """Return the mask of run lengths, column after column, the first of them outside.

    Args:
        rle: ``counts``, a list or a compressed text, and ``size``.
        height: Height of the image.
        width: Width of the image.

    Shapes:
        returns: ``(height, width)`` bool.

    Raises:
        ValueError: the run lengths are not those of such an image.
    """
    counts = rle['counts']
    if isinstance(counts, (str, bytes)):
        counts = decode_counts(counts)
    size = tuple(rle.get('size', (height, width)))
    if size != (height, width):
        raise ValueError(f'its size is {size} where the image has {(height, width)}')
    lengths = np.asarray(counts, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f'its run lengths do not add up to {height} x {width} pixels')
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape(width, height).T


def polygon_mask(polygon: ArrayLike, height: int, width: int) -> BoolMask:
    """Return the pixels whose centres lie within a polygon, by the even-odd rule.

    Args:
        polygon: x and y in turn, in pixels; (0, 0) is the outer corner of the first pixel.
        height: Height of the image.
        width: Width of the image.

    Shapes:
        returns: ``(height, width)`` bool.

    Raises:
        ValueError: fewer than three points, or something else than finite numbers.

    Example:
        >>> polygon_mask([1, 0, 3, 0, 3, 1, 1, 1], 2, 4).astype(int)
        array([[0, 1, 1, 0],
               [0, 0, 0, 0]])
    """
    points = np.asarray(polygon, np.float64)
    if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not (abs(points) < FARTHEST).all():
        raise ValueError(f'a polygon of it has {points.size} numbers, not 6, 8, 10 ... finite ones')
    x0, y0 = points.reshape(-1, 2).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    # the rows whose centres an edge crosses, from first to last - 1
    first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, height).astype(np.int64)
    lengths = last - first
    edge = np.repeat(np.arange(len(x0)), lengths)
    start = np.repeat(np.cumsum(lengths) - lengths, lengths)
    row = np.arange(len(edge)) - start + first[edge]
    slope = (x1 - x0)[edge] / (y1 - y0)[edge]
    x = x0[edge] + (row + 0.5 - y0[edge]) * slope
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    crossings = np.zeros((height, width + 1), np.int32)
    np.add.at(crossings, (row, column), 1)
    return np.cumsum(crossings[:, :-1], axis=1) % 2 == 1


def segmentation_mask(segmentation: Any, height: int, width: int) -> BoolMask:
    """Return the mask of an annotation: polygons, which are united, or run lengths.

    Args:
        segmentation: As in COCO's files.
        height: Height of the image.
        width: Width of the image.

    Shapes:
        returns: ``(height, width)`` bool.

    Raises:
        ValueError: it is neither, or says something wrong.
    """
    if isinstance(segmentation, Mapping) and 'counts' in segmentation:
        return rle_mask(segmentation, height, width)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, (str, bytes)):
        raise ValueError('its segmentation is neither a list of polygons nor run lengths')
    mask = np.zeros((height, width), bool)
    for polygon in segmentation:
        mask |= polygon_mask(polygon, height, width)
    return mask


class Instance(NamedTuple):
    """One annotated object.

    Args:
        value: What it becomes in the mask.
        segmentation: As in COCO's files.
        is_crowd: Whether it is a region with many objects of the class.
        name: Number of the annotation, for errors.
    """

    value: int
    segmentation: Any
    is_crowd: bool = False
    name: Any = None


def instances_mask(
    instances: Iterable[Instance],
    height: int,
    width: int,
    *,
    crowd: str = 'ignore',
    broken: list[str] | None = None,
) -> NDArray[np.uint8]:
    """Return the index mask of the instances of an image.

    Where instances overlap, the smaller lies on top. Crowd regions, whose outlines are rough,
    lie below all others.

    Args:
        instances: The instances.
        height: Height of the image.
        width: Width of the image.
        crowd: ``'ignore'`` gives crowd regions the value 255, ``'class'`` that of their class.
        broken: Gets what is wrong with instances, which are left out then; None raises the error.

    Shapes:
        returns: ``(height, width)`` uint8, 0 where there is no instance.

    Raises:
        ValueError: a segmentation is wrong.
    """
    layers = []
    for instance in instances:
        try:
            region = segmentation_mask(instance.segmentation, height, width)
        except (ValueError, TypeError, ArithmeticError) as error:
            text = f'annotation {instance.name}: {error}'
            if broken is None:
                raise ValueError(text) from error
            broken.append(text)
            continue
        value = IGNORE_INDEX if instance.is_crowd and crowd == 'ignore' else instance.value
        layers.append((not instance.is_crowd, -np.count_nonzero(region), value, region))
    mask = np.zeros((height, width), np.uint8)
    # of the same area, the later one lies on top
    for _, _, value, region in sorted(layers, key=lambda layer: layer[:2]):
        mask[region] = value
    return mask


class MaskTask(NamedTuple):
    """One mask to draw and write.

    Args:
        path: File to write, ``.png``.
        size: Height and width of the image.
        instances: What it shows.
    """

    path: str
    size: tuple[int, int]
    instances: list[Instance]


def write_mask(task: MaskTask, crowd: str = 'ignore', *, skip_broken: bool = False) -> list[str]:
    """Draw a mask and write it as a palette PNG, whole or not at all.

    Args:
        task: The mask.
        crowd: As in :func:`instances_mask`.
        skip_broken: Leave out annotations that cannot be drawn.

    Returns:
        What is wrong with those that were left out.

    Raises:
        LabelFileError: an annotation cannot be drawn.
        MaskError: the file cannot be written.
    """
    broken: list[str] = []
    try:
        mask = instances_mask(
            task.instances, *task.size, crowd=crowd, broken=broken if skip_broken else None
        )
    except ValueError as error:
        raise LabelFileError(
            f'image {image_id(task.path)}, {error}: correct the annotation, take it out, or give '
            '--skip-broken.'
        ) from error
    write_mask_file(task.path, mask)
    return [f'image {image_id(task.path)}, {text}' for text in broken]
