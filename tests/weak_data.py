"""Tiny data sets in the layouts in which users have the real ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmwsss.datasets import ImageLevelCOCODataset, ImageLevelVOCDataset, voc_palette

Tags = Sequence[Sequence[str]]
VOC_CLASSES = ImageLevelVOCDataset.METAINFO['classes']
COCO_CLASSES = ImageLevelCOCODataset.METAINFO['classes']
TRAIN_TAGS = (('dog',), ('car', 'person'), ('cat',), ('dog', 'person'))
VAL_TAGS = (('person',), ('cat', 'dog'))
# numbers that COCO left out of its category ids
_COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def make_image(indices: Sequence[int], size: tuple[int, int], seed: int) -> tuple:
    """Draw a picture with a rectangle for each class index (1 is the first of the foreground).

    Returns:
        RGB picture, index mask with a rim of 255 around each rectangle, and the rectangles
        (left, top, right, bottom).
    """
    height, width = size
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 150, (height, width, 3), dtype=np.uint8)
    mask = np.zeros(size, dtype=np.uint8)
    palette = voc_palette(256)
    boxes = []
    for number, index in enumerate(indices):
        left = 2 + number * (width - 4) // len(indices)
        right = 2 + (number + 1) * (width - 4) // len(indices) - 3
        box = (left, height // 4, right, 3 * height // 4)
        mask[box[1] - 1 : box[3] + 1, box[0] - 1 : box[2] + 1] = 255
        mask[box[1] : box[3], box[0] : box[2]] = index
        image[box[1] : box[3], box[0] : box[2]] = palette[index]
        boxes.append(box)
    return image, mask, boxes


def save_mask(path: Path, mask: np.ndarray) -> None:
    """Write a palette PNG as VOC's are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask)
    picture.putpalette(np.array(voc_palette(256), dtype=np.uint8).tobytes())
    picture.save(path)


def save_image(path: Path, image: np.ndarray) -> None:
    """Write a picture, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=95)


def save_text(path: Path, text: str) -> Path:
    """Write a text file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')
    return path


def voc_xml(tags: Sequence[str], size: tuple[int, int]) -> str:
    """Return a VOC annotation with one object a tag; persons have a head."""
    part = '<part><name>head</name></part>'
    objects = ''.join(
        f'<object><name>{tag}</name><difficult>0</difficult>{part if tag == "person" else ""}'
        '</object>'
        for tag in tags
    )
    sizes = f'<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>'
    return f'<annotation><folder>VOC2012</folder>{sizes}{objects}</annotation>\n'


def make_voc(
    root: Path,
    *,
    train: Tags = TRAIN_TAGS,
    val: Tags = VAL_TAGS,
    size: tuple[int, int] = (32, 48),
    masks: bool = True,
) -> Path:
    """Write a data set in the layout of PASCAL VOC 2012.

    The images are ``2007_000000`` and so on, those of ``val`` from ``2008_000000``; ``train_aug``
    is the same as ``train``.

    Args:
        root: Folder in which ``VOCdevkit/VOC2012`` is made.
        train: Tags of each training image.
        val: Tags of each validation image.
        size: Height and width.
        masks: Whether ``SegmentationClass`` is written.

    Returns:
        The folder ``VOC2012``.
    """
    folder = Path(root) / 'VOCdevkit' / 'VOC2012'
    names: dict[str, list[str]] = {'train': [], 'val': []}
    for year, (split, all_tags) in ((2007, ('train', train)), (2008, ('val', val))):
        for number, tags in enumerate(all_tags):
            name = f'{year}_{number:06d}'
            names[split].append(name)
            indices = [VOC_CLASSES.index(tag) for tag in tags]
            image, mask, _ = make_image(indices, size, year + number)
            save_image(folder / 'JPEGImages' / f'{name}.jpg', image)
            save_text(folder / 'Annotations' / f'{name}.xml', voc_xml(tags, size))
            if masks:
                save_mask(folder / 'SegmentationClass' / f'{name}.png', mask)
    splits = {
        **names,
        'train_aug': names['train'],
        'trainval': names['train'] + names['val'],
    }
    for split, members in splits.items():
        text = ''.join(f'{name}\n' for name in members)
        save_text(folder / 'ImageSets' / 'Segmentation' / f'{split}.txt', text)
    return folder


def coco_category_id(name: str) -> int:
    """Return COCO's own number of a category."""
    numbers = [number for number in range(1, 91) if number not in _COCO_GAPS]
    return numbers[COCO_CLASSES.index(name) - 1]


def coco_instances(
    names: Sequence[str], boxes: Sequence[Sequence[tuple]], tags: Tags, size: tuple[int, int]
) -> dict:
    """Return the content of a COCO instances file, the objects as polygons."""
    images, annotations = [], []
    for name, image_boxes, image_tags in zip(names, boxes, tags, strict=True):
        number = int(name.rsplit('_', 1)[1])
        images.append(
            {'id': number, 'file_name': f'{name}.jpg', 'height': size[0], 'width': size[1]}
        )
        for (left, top, right, bottom), tag in zip(image_boxes, image_tags, strict=True):
            polygon = [left, top, right, top, right, bottom, left, bottom]
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': number,
                    'category_id': coco_category_id(tag),
                    'segmentation': [polygon],
                    'bbox': [left, top, right - left, bottom - top],
                    'area': (right - left) * (bottom - top),
                    'iscrowd': 0,
                }
            )
    categories = [{'id': coco_category_id(name), 'name': name} for name in COCO_CLASSES[1:]]
    return {'images': images, 'annotations': annotations, 'categories': categories}


def make_coco(
    root: Path,
    *,
    train: Tags = TRAIN_TAGS,
    val: Tags = VAL_TAGS,
    size: tuple[int, int] = (32, 48),
    masks: bool = True,
) -> Path:
    """Write a data set in the layout of MS COCO 2014.

    The images are ``COCO_train2014_000000000001`` and so on, those of ``val``
    ``COCO_val2014_000000000101`` and so on.

    Args:
        root: Folder in which ``coco2014`` is made.
        train: Tags of each training image.
        val: Tags of each validation image.
        size: Height and width.
        masks: Whether ``SegmentationClass/{train2014,val2014}`` are written.

    Returns:
        The folder ``coco2014``.
    """
    folder = Path(root) / 'coco2014'
    for split, all_tags, first in (('train2014', train, 1), ('val2014', val, 101)):
        names, boxes = [], []
        for number, tags in enumerate(all_tags, start=first):
            name = f'COCO_{split}_{number:012d}'
            indices = [COCO_CLASSES.index(tag) for tag in tags]
            image, mask, image_boxes = make_image(indices, size, number)
            save_image(folder / split / f'{name}.jpg', image)
            if masks:
                save_mask(folder / 'SegmentationClass' / split / f'{name}.png', mask)
            names.append(name)
            boxes.append(image_boxes)
        content = json.dumps(coco_instances(names, boxes, all_tags, size))
        save_text(folder / 'annotations' / f'instances_{split}.json', content)
    return folder


def make_folder(root: Path, rows: dict[str, str], *, size: tuple[int, int] = (32, 48)) -> Path:
    """Write a folder of images with ``labels.csv``.

    Args:
        root: Folder in which ``animals`` is made.
        rows: File name within ``images`` to its labels, separated by ``;``.
        size: Height and width.

    Returns:
        The folder ``animals``.
    """
    folder = Path(root) / 'animals'
    for seed, name in enumerate(rows):
        save_image(folder / 'images' / name, make_image([], size, seed)[0])
    lines = ['image,labels', *(f'{name},{labels}' for name, labels in rows.items())]
    save_text(folder / 'labels.csv', '\n'.join(lines) + '\n')
    return folder
