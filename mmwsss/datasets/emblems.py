"""Emblems: a synthetic data set for weakly supervised segmentation."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from mmwsss.utils import atomic_write, read_content, remove_stale
from mmwsss.utils.progress import track

from .emblems_scene import draw_scene
from .emblems_shapes import EMBLEMS, emblem_palette
from .label_writers import write_image_labels
from .masks import MaskError, read_mask

# version of the drawing; increase it when equal settings give different pictures
DRAWING = 1
DESCRIPTION = 'emblems.json'
SPLITS = ('train', 'val')
MIN_SIZE = 32


@dataclass(frozen=True)
class EmblemsSettings:
    """Settings that fully determine an Emblems data set.

    Args:
        num_train: Number of training images.
        num_val: Number of validation images.
        size: Height and width of the images, at least 32.
        num_emblems: Number of foreground classes, 2 to 20.
        context: Probability that the background is the kind associated with an emblem of the
            image; 0 makes backgrounds independent of classes.

    Raises:
        ValueError: a number is out of range.
    """

    num_train: int = 2000
    num_val: int = 200
    size: int = 128
    num_emblems: int = 6
    seed: int = 0
    context: float = 0.0

    def __post_init__(self) -> None:
        limits = dict(
            num_train=(1, 99999),
            num_val=(1, 99999),
            size=(MIN_SIZE, 4096),
            num_emblems=(2, len(EMBLEMS)),
            seed=(0, 2**63 - 1),
            context=(0, 1),
        )
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(
                    f'EmblemsSettings: {name} must lie in {low} to {high}, got {value}.'
                )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, background first."""
        return ('background', *list(EMBLEMS)[: self.num_emblems])

    @property
    def palette(self) -> list[list[int]]:
        """RGB colours of the classes."""
        return emblem_palette(self.num_emblems)


class EmblemsImage(NamedTuple):
    """One image of the data set, by split (``train`` or ``val``) and index in the split."""

    split: str
    number: int

    @property
    def name(self) -> str:
        """File name without extension."""
        return f'{self.split}_{self.number:05d}'


def list_images(settings: EmblemsSettings) -> list[EmblemsImage]:
    """Return all images of a data set, training images first."""
    numbers = (settings.num_train, settings.num_val)
    return [EmblemsImage(s, i) for s, n in zip(SPLITS, numbers, strict=True) for i in range(n)]


def _paths(root: Path, image: EmblemsImage) -> tuple[Path, Path]:
    """Return the paths of an image and its mask."""
    return (
        root / 'JPEGImages' / f'{image.name}.jpg',
        root / 'SegmentationClass' / f'{image.name}.png',
    )


def draw_image(image: EmblemsImage, root: Path, settings: EmblemsSettings) -> tuple[int, ...]:
    """Write an image and its mask, with a random state of its own.

    Returns:
        The sorted indices of its emblems.
    """
    # several processes draw in parallel
    cv2.setNumThreads(1)
    rng = np.random.default_rng([settings.seed, SPLITS.index(image.split), image.number])
    scene = draw_scene(rng, settings.size, settings.num_emblems, context=settings.context)
    image_path, mask_path = _paths(root, image)
    mask = Image.fromarray(scene.mask)
    mask.putpalette([channel for colour in settings.palette for channel in colour])
    with atomic_write(mask_path) as file:
        mask.save(file, format='PNG')
    with atomic_write(image_path) as file:
        Image.fromarray(scene.image).save(file, format='JPEG', quality=95, subsampling=0)
    return scene.labels


def _drawn_labels(root: Path, image: EmblemsImage, settings: EmblemsSettings) -> Any:
    """Return the labels of an existing image, or None."""
    image_path, mask_path = _paths(root, image)
    if not image_path.exists():
        return None
    try:
        values = read_mask(mask_path, settings.num_emblems + 1)[1]
    except MaskError:
        return None
    return tuple(value - 1 for value in values if value)


def read_description(root: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the description of a data set in the folder ``root``.

    Returns:
        ``drawing`` (version of the drawing), ``settings``, ``classes``, ``palette`` and
        ``complete`` (False while images are missing).

    Raises:
        FileNotFoundError: the description does not exist.
        ValueError: it is invalid.
    """
    path = Path(root) / DESCRIPTION
    try:
        text = read_content(path)
    except OSError as error:
        raise FileNotFoundError(
            f'{path} cannot be read ({error.strerror}): draw the data set with '
            'tools/dataset_converters/make_emblems.py, or correct data_root.'
        ) from error
    keys = {'drawing', 'settings', 'classes', 'palette', 'complete'}
    try:
        content = json.loads(text)
        lacking = keys - content.keys()
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f'{path} does not describe an Emblems data set ({error}): remove the folder and draw '
            'it again.'
        ) from error
    if lacking:
        raise ValueError(
            f'{path} does not describe an Emblems data set, it lacks {", ".join(sorted(lacking))}: '
            'remove the folder and draw it again.'
        )
    return content


def _describe(settings: EmblemsSettings, complete: bool) -> dict[str, Any]:
    return dict(
        drawing=DRAWING,
        settings=asdict(settings),
        classes=list(settings.classes),
        palette=settings.palette,
        complete=complete,
    )


def _write_description(root: Path, settings: EmblemsSettings, complete: bool) -> None:
    with atomic_write(root / DESCRIPTION, 'w') as file:
        json.dump(_describe(settings, complete), file, indent=2)
        file.write('\n')


def _check_folder(root: Path, settings: EmblemsSettings) -> None:
    """Check that a folder is empty or contains this data set, complete or not.

    Raises:
        ValueError: see :func:`make_emblems`.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    if not (root / DESCRIPTION).exists():
        raise ValueError(
            f'{root} is not empty and has no {DESCRIPTION}, so it is not Emblems: use another '
            'folder.'
        )
    found = read_description(root)
    wanted = _describe(settings, True)
    there = {'drawing': found['drawing'], **found['settings']}
    asked = {'drawing': DRAWING, **wanted['settings']}
    other = [f'{k} {there.get(k)} (asked: {v})' for k, v in asked.items() if there.get(k) != v]
    if other:
        raise ValueError(
            f'{root} contains Emblems with other settings, {", ".join(other)}: use another folder '
            'or remove this one.'
        )


def make_emblems(
    root: str | os.PathLike[str],
    settings: EmblemsSettings | None = None,
    *,
    workers: int = 1,
) -> int:
    """Draw a data set, or the missing images of an incomplete one.

    Equal settings give equal files for the same versions of NumPy, OpenCV and Pillow, whatever
    the number of processes. The layout is that of VOC.

    .. code-block:: none

        data/emblems
        |-- JPEGImages/train_00000.jpg ...         quality 95, colours not subsampled
        |-- SegmentationClass/train_00000.png ...  palette, whole bodies, no ignored pixels
        |-- ImageSets/Segmentation/train.txt, val.txt
        |-- image_labels.json                      {"train_00000": ["bars", "dice"], ...}
        `-- emblems.json                           settings, classes, palette

    Args:
        root: Folder, created if necessary.
        settings: Settings of the data set; the defaults are those of the benchmark.
        workers: Number of processes.

    Returns:
        The number of images drawn.

    Raises:
        ValueError: the folder contains other files, or Emblems with other settings.
        concurrent.futures.process.BrokenProcessPool: a process was killed.
    """
    root, settings = Path(root), settings or EmblemsSettings()
    _check_folder(root, settings)
    images = list_images(settings)
    found = {image: _drawn_labels(root, image, settings) for image in images}
    missing = [image for image, labels in found.items() if labels is None]
    lists = {split: root / 'ImageSets' / 'Segmentation' / f'{split}.txt' for split in SPLITS}
    label_file = root / 'image_labels.json'
    whole = not missing and all(path.exists() for path in (label_file, *lists.values()))
    if whole and read_description(root)['complete']:
        return 0
    _write_description(root, settings, complete=False)
    for folder in (root, *(path.parent for path in _paths(root, images[0]))):
        remove_stale(folder)
    function = partial(draw_image, root=root, settings=settings)
    drawn = track(function, missing, workers=workers, description='Emblems')
    found.update(zip(missing, drawn, strict=True))
    for split, path in lists.items():
        with atomic_write(path, 'w') as file:
            file.writelines(f'{image.name}\n' for image in images if image.split == split)
    labels = {image.name: found[image] for image in images}
    write_image_labels(label_file, labels, settings.classes)
    _write_description(root, settings, complete=True)
    return len(missing)
