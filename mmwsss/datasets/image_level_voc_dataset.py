"""PASCAL VOC 2012 with image-level labels."""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Mapping
from typing import Any, NoReturn

from mmseg.datasets import PascalVOCDataset
from mmseg.registry import DATASETS

from .image_level_dataset import ImageEntry, ImageLevelDataset, line_image, read_split

_AUG_NAMES = ('train_aug', 'trainaug', 'train+aug')
_SPLIT_FOLDERS = (
    'ImageSets/Segmentation',
    'ImageSets/SegmentationAug',
    'ImageSets/SegmentationClassAug',
    'ImageSets',
    '',
)
_MASKS, _AUG_MASKS = 'SegmentationClass', 'SegmentationClassAug'


@DATASETS.register_module()
class ImageLevelVOCDataset(ImageLevelDataset):
    """PASCAL VOC 2012, 20 classes, tags from its XML annotations.

    .. code-block:: none

        data/VOCdevkit/VOC2012        (or data_root=data/VOCdevkit, or data)
        |-- Annotations/              2007_000032.xml
        |-- JPEGImages/               2007_000032.jpg
        |-- SegmentationClass/        2007_000032.png, for evaluation
        |-- SegmentationClassAug/     masks of train_aug, where present
        `-- ImageSets/Segmentation/   train.txt, val.txt; train_aug.txt, trainaug.txt,
                                      train+aug.txt, or aug.txt beside train.txt

    A split has lines ``2007_000032``, or ``/JPEGImages/2007_000032.jpg
    /SegmentationClassAug/2007_000032.png``. Where masks are configured as
    ``seg_map_path='SegmentationClass'``, those of ``train_aug`` are taken from the line or from
    ``SegmentationClassAug`` as far as they are there; any other folder is taken as it is.

    Args:
        ann_file: Name of a split (``train_aug``), or its file.
        image_labels: Folder of XML annotations, or a ``.csv``, ``.json`` or ``.npy`` file.
        data_prefix: Folders, as in :class:`ImageLevelDataset`; ``img_path`` is ``JPEGImages``.
        **kwargs: Arguments of :class:`ImageLevelDataset`.

    Raises:
        FileNotFoundError: the split is nowhere; the text names all places looked at.
        ValueError: a line of the split is of neither form.
    """

    METAINFO = dict(PascalVOCDataset.METAINFO)
    data_root: str

    def __init__(
        self,
        ann_file: str = 'train_aug',
        *,
        image_labels: str = 'Annotations',
        data_prefix: Mapping[str, str | None] | None = None,
        **kwargs: Any,
    ) -> None:
        self._aug_masks: set[str] | None = None
        prefix = {'img_path': 'JPEGImages', **(data_prefix or {})}
        super().__init__(ann_file=ann_file, image_labels=image_labels, data_prefix=prefix, **kwargs)

    def list_images(self) -> list[ImageEntry]:
        """Return the images of the split."""
        entries = []
        for path in self.split_files():
            lines = read_split(path, self.backend_args)
            entries += [self.make_entry(line, f'{path}, {where}') for line, where in lines]
        return entries

    def split_files(self) -> list[str]:
        """Return the file of the split, or the two that make up ``train_aug``.

        Raises:
            FileNotFoundError: the split is nowhere.
        """
        root = self.data_root or ''
        if osp.isfile(self.ann_file):
            return [self.ann_file]
        stem = osp.basename(self.ann_file).removesuffix('.txt')
        names = _AUG_NAMES if stem in _AUG_NAMES else (stem,)
        folders = [osp.join(root, folder) for folder in _SPLIT_FOLDERS]
        tried = [osp.join(folder, f'{name}.txt') for folder in folders for name in names]
        for path in tried:
            if osp.isfile(path):
                return [path]
        if stem in _AUG_NAMES:
            for folder in folders:
                pair = [osp.join(folder, name) for name in ('train.txt', 'aug.txt')]
                if all(map(osp.isfile, pair)):
                    return pair
        self._refuse(stem, [f'{name}.txt' for name in names])

    def _refuse(self, stem: str, files: list[str]) -> NoReturn:
        name, root = type(self).__name__, self.data_root
        if root and not osp.isdir(root):
            raise FileNotFoundError(
                f'{name}: there is no folder {root}: put PASCAL VOC 2012 there, or set data_root '
                'to where it is.'
            )
        advice = 'check data_root, or set ann_file to the file of the split'
        if stem in _AUG_NAMES:
            files = [*files, 'aug.txt beside train.txt']
            advice = (
                'it is no part of the official download, so add its list, or set ann_file to '
                "'train', the official split"
            )
        raise FileNotFoundError(
            f'{name}: the split {stem!r} is nowhere in {root or "."} ({", ".join(files)}; in '
            f'{", ".join(_SPLIT_FOLDERS[:-1])} or the folder itself): {advice}.'
        )

    def make_entry(self, name: str, where: str = '') -> ImageEntry:
        """Return the paths of an image.

        Args:
            name: Line of the split.
            where: Place of the line.

        Raises:
            ValueError: the line has more than one word and they are no paths.
        """
        image = line_image(name)
        rest = name[len(image) :].split(maxsplit=1)
        if (rest and '/' not in image) or len(line_image(image)) < len(image):
            raise ValueError(
                f'{type(self).__name__}: {where} is {name[:80]!r} where "2007_000032" or '
                '"/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png" is expected: '
                'take a split of ImageSets/Segmentation.'
            )
        root = self.data_root or ''
        entry = super().make_entry(osp.basename(image), where)
        path, mask = entry.img_path, entry.seg_map_path
        if '/' in image:
            path = osp.join(root, image.lstrip('/'))
        if mask is not None and osp.basename(osp.dirname(mask)) in (_MASKS, _AUG_MASKS):
            named = rest[0].strip().lstrip('/') if rest else ''
            mask = osp.join(root, named) if rest else self._official_mask(mask)
        return ImageEntry(path, mask, where)

    def _official_mask(self, path: str) -> str:
        """Return the mask of train_aug where one is there for this image."""
        folder, name = osp.split(path)
        aug_folder = osp.join(osp.dirname(folder), _AUG_MASKS)
        stem = osp.basename(self.ann_file).removesuffix('.txt')
        if stem not in _AUG_NAMES:
            return path
        if self._aug_masks is None:
            self._aug_masks = set(os.listdir(aug_folder)) if osp.isdir(aug_folder) else set()
        return osp.join(aug_folder, name) if name in self._aug_masks else path

    def _join_prefix(self) -> None:
        """Find the folder of the year where ``data_root`` is one of its parents."""
        for below in ('VOC2012', 'VOCdevkit/VOC2012'):
            folder = osp.join(self.data_root, below)
            if not osp.isdir(osp.join(self.data_root, 'JPEGImages')) and osp.isdir(folder):
                self.data_root = folder
        super()._join_prefix()
