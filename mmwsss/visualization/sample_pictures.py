"""Pictures of the augmented samples of a data set, with their labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmengine.visualization import Visualizer
from mmseg.structures import SegDataSample
from numpy.typing import NDArray

from mmwsss.datasets.masks import IGNORE_INDEX
from mmwsss.datasets.transforms import decode_image
from mmwsss.utils import read_content

from .overlay import IGNORE_COLOR, draw_mask
from .pages import write_page

SHORT_SIDE = 256  # pixels; smaller samples are upscaled to make room for class names
GAP = 8
BOX_COLOR = 'lime'


class SampleCard(NamedTuple):
    """A sample on the page.

    Args:
        picture: Name of its file, in the folder of the page.
        classes: Indices of its classes; 0 is the background.
        facts: Sizes, valid box and so on.
        undecided: Whether its mask has pixels without a class.
    """

    picture: str
    name: str
    classes: list[int]
    facts: list[str]
    undecided: bool


def sample_classes(sample: SegDataSample) -> list[int]:
    """Return the classes of a packed sample, from its tags or otherwise its mask."""
    if 'gt_label' in sample:
        return (sample.gt_label + 1).tolist()
    if 'gt_sem_seg' not in sample:
        return []
    values = np.unique(sample.gt_sem_seg.data.numpy())
    return [int(value) for value in values if value not in (0, IGNORE_INDEX)]


def _padded_box(sample: SegDataSample, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the valid box, None if there is no padding."""
    box = sample.metainfo.get('valid_box')
    return None if box is None or tuple(box) == (0, 0, *size) else tuple(box)


def sample_facts(sample: SegDataSample, size: tuple[int, ...]) -> list[str]:
    """Return the description of a sample on the page.

    Args:
        size: Height and width of the input of the network.
    """
    meta = sample.metainfo
    facts = [f'{size[1]} x {size[0]}']
    if 'ori_shape' in meta:
        facts[0] += f' of {meta["ori_shape"][1]} x {meta["ori_shape"][0]} pixels'
    if box := _padded_box(sample, size):
        facts.append('valid box: rows {} to {}, columns {} to {}'.format(*box[::2], *box[1::2]))
    if meta.get('flip'):
        facts.append('mirrored')
    return facts


def draw_sample(
    image: NDArray[np.uint8], sample: SegDataSample, meta: Mapping[str, Any]
) -> NDArray[np.uint8]:
    """Draw the mask, the valid box and the names of the classes over a sample.

    Args:
        image: Input of the network.
        meta: ``classes`` and ``palette`` of the data set, background first.

    Shapes:
        image: ``(H, W, 3)`` uint8, RGB.
        returns: the same, upscaled to at least 256 pixels per side.
    """
    size = image.shape[:2]
    if 'gt_sem_seg' in sample:
        image = draw_mask(image, sample.gt_sem_seg.data[0].numpy(), meta['palette'])
    factor = max(1, -(-SHORT_SIDE // min(size)))
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    visualizer = Visualizer(image=image)
    if box := _padded_box(sample, size):
        top, left, bottom, right = np.array(box) * factor
        # right and bottom are exclusive, and lines outside the picture are not drawn
        corners = np.array([left, top, right - 1, bottom - 1])
        visualizer.draw_bboxes(corners, edge_colors=BOX_COLOR, line_widths=2)
    height = max(12, min(image.shape[:2]) // 20)
    for i, index in enumerate(sample_classes(sample)):
        background = dict(facecolor=np.array(meta['palette'][index]) / 255, pad=2, edgecolor='none')
        visualizer.draw_texts(
            meta['classes'][index],
            np.array([6, 6 + i * 1.8 * height]),
            font_sizes=height,
            colors='white' if sum(meta['palette'][index]) < 384 else 'black',
            bboxes=background,
        )
    return visualizer.get_image()


def beside(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Place two pictures side by side with a white gap.

    Shapes:
        left, right: ``(H, W, 3)`` uint8, any sizes.
        returns: ``(max H, sum of W + 8, 3)`` uint8.

    Example:
        >>> beside(np.zeros((2, 3, 3), 'u1'), np.zeros((4, 5, 3), 'u1')).shape
        (4, 16, 3)
    """
    height = max(len(left), len(right))
    out = np.full((height, left.shape[1] + GAP + right.shape[1], 3), 255, np.uint8)
    out[: len(left), : left.shape[1]] = left
    out[: len(right), left.shape[1] + GAP :] = right
    return out


def read_original(path: str) -> NDArray[np.uint8]:
    """Return an image without augmentation, RGB, upscaled like the samples.

    Raises:
        ImageFileError: it cannot be read.
    """
    image = decode_image(read_content(path), path)[..., ::-1]
    factor = max(1, -(-SHORT_SIDE // min(image.shape[:2])))
    image = np.ascontiguousarray(image)
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)


def write_sample_page(
    path: str | os.PathLike[str], cards: Sequence[SampleCard], **contents: Any
) -> None:
    """Write a page that lazily loads the pictures in its folder.

    Args:
        path: HTML file in the folder of the pictures.
        **contents: ``title``, ``subtitle``, ``classes``, ``palette``, ``original`` (whether the
            original image is shown as well) and ``total`` (number of samples).
    """
    shown = sorted({index for card in cards for index in card.classes})
    undecided = any(card.undecided for card in cards)
    page = dict(cards=cards, shown=shown, undecided=undecided, ignore_color=IGNORE_COLOR)
    write_page(path, 'browse_dataset.html', page | contents)
