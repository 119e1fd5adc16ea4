"""Base of all data sets whose images carry tags instead of masks."""

from __future__ import annotations

import os
import os.path as osp
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine import fileio
from mmseg.registry import DATASETS

from mmwsss.utils import FileProblemError, read_content, short_list, shown

from .folder_files import FolderFiles, list_folder
from .image_labels import ImageLabels, LabelFileError, read_image_labels
from .image_names import IMAGE_SUFFIXES, image_id
from .label_readers.common import BACKGROUND_NAMES, text_lines
from .numbered import NumberedDataset


@dataclass(frozen=True)
class ImageEntry:
    """One image of a split.

    Args:
        img_path: Path of the image.
        seg_map_path: Path of its mask, where the data set is configured with masks. Nothing in
            a data set opens it.
        where: Line of the split file, for errors.
        name: Of the image, where :class:`~.image_names.ImageNames` tells it by its folders.
    """

    img_path: str
    seg_map_path: str | None = None
    where: str = ''
    name: str = ''

    @property
    def image_id(self) -> str:
        """Name of the image, by default without folder and extension."""
        return self.name or image_id(self.img_path)


def read_split(path: str, backend_args: dict | None = None) -> list[tuple[str, str]]:
    """Read a split file, one image a line.

    Args:
        path: Text file, UTF-8 with or without byte order mark.
        backend_args: Arguments of MMEngine's file backend.

    Returns:
        The lines that are not empty, stripped, each with its place for errors (``line 3``).

    Raises:
        FileNotFoundError: no such file.
        FileProblemError: it is no text.
    """
    try:
        content = read_content(path, backend_args)
    except OSError as error:
        raise FileNotFoundError(
            f'split file {path} cannot be read ({error.strerror or error}): set ann_file to a '
            'text file with the name of one image a line.'
        ) from error
    # names are those of the file system, whatever their encoding
    text = content.removeprefix(b'\xef\xbb\xbf').decode(errors='surrogateescape')
    if '\0' in text:
        raise FileProblemError(
            f'split file {shown(path)} is no text file: save it as UTF-8, the name of one image a '
            'line.'
        )
    lines = enumerate(text_lines(text), start=1)
    return [(line.strip(), f'line {number}') for number, line in lines if line.strip()]


def line_image(line: str) -> str:
    """Return the image of a line of VOC's lists, which may name a mask or a sign behind it.

    Args:
        line: Of a split.

    Example:
        >>> line_image('/JPEGImages/a.jpg /SegmentationClassAug/a.png'), line_image('my dog')
        ('/JPEGImages/a.jpg', 'my dog')
        >>> line_image('2008_000008 -1')
        '2008_000008'
    """
    extension = '|'.join(re.escape(suffix) for suffix in IMAGE_SUFFIXES)
    paths = re.fullmatch(rf'(.*/.*(?:{extension})|\S*/\S+)\s+\S*/.*', line, re.IGNORECASE)
    return paths[1].rstrip() if paths else re.sub(r'\s+-?[01]$', '', line)


@DATASETS.register_module()
class ImageLevelDataset(NumberedDataset):
    """Images with image-level labels; masks, where configured, serve evaluation alone.

    A data info holds ``img_path``, ``gt_label`` (sorted foreground indices 0..K-1, possibly
    none), ``num_classes``, mmseg's ``label_map``, ``reduce_zero_label`` and ``seg_fields``, and
    ``seg_map_path`` where ``data_prefix`` names a folder of masks. Everything that is wrong with
    names and labels is found when the data set is built; files of images and masks are opened by
    transforms alone.

    Args:
        ann_file: Split file, one name a line, with or without extension; '' takes every image
            of the folder that ends with ``img_suffix``.
        image_labels: Source of the labels, relative to ``data_root``: anything that
            :func:`~mmwsss.datasets.read_image_labels` reads. None is for prediction: with
            ``test_mode=True`` data infos then have no ``gt_label``.
        data_prefix: Folders ``img_path`` and, for evaluation, ``seg_map_path``, relative to
            ``data_root``.
        **kwargs: Arguments of MMSeg's ``BaseSegDataset``. ``metainfo=dict(classes=...)`` with
            some of the data set's classes keeps the tags of those;
            ``filter_cfg=dict(filter_empty_gt=True)`` drops images without tags.

    Raises:
        ValueError: an argument is missing or wrong, the split is empty or names an image twice.
        FileNotFoundError: the split file or images of it do not exist.
        LabelFileError: see :func:`~mmwsss.datasets.read_image_labels`; an image has no entry.
    """

    def __init__(
        self,
        ann_file: str = '',
        *,
        image_labels: str | None = None,
        data_prefix: Mapping[str, str | None] | None = None,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        if not image_labels and not kwargs.get('test_mode'):
            raise ValueError(
                f'{name}: received image_labels={image_labels!r} where the source of the image '
                'tags is expected (a .csv, .json or .npy file, or a folder of VOC annotations): '
                'give one, make one from masks with tools/dataset_converters, or set '
                'test_mode=True to predict.'
            )
        if kwargs.get('reduce_zero_label'):
            raise ValueError(
                f'{name}: received reduce_zero_label=True but class 0 is the background that '
                'weak labels compete with: leave it False.'
            )
        self.image_labels = str(image_labels or '')
        self._masks: dict[str, FolderFiles] = {}
        prefix = {'img_path': '', **(data_prefix or {})}
        prefix = {key: folder for key, folder in prefix.items() if folder is not None}
        super().__init__(ann_file=ann_file, data_prefix=prefix, **kwargs)

    @property
    def source_classes(self) -> tuple[str, ...]:
        """Classes of the label source: all of the data set's, whichever are used."""
        return tuple(self.METAINFO.get('classes') or self._metainfo['classes'])

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict | None:
        """Return the new index of each class of the data set, where only some are used.

        Args:
            new_classes: Names of the classes in use.

        Raises:
            ValueError: one of them is no class of the data set.
        """
        known = cls.METAINFO.get('classes')
        if foreign := [name for name in new_classes or () if known and name not in known]:
            raise ValueError(
                f'metainfo.classes names {short_list(foreign)}, which {cls.__name__} does not '
                'have: for classes of your own take ImageLevelFolderDataset, with the annotations '
                'as image_labels'
            )
        return super().get_label_map(new_classes)

    def load_data_list(self) -> list[dict]:
        """Join the images of the split with their labels.

        Returns:
            One data info an image.
        """
        self._check_classes()
        entries = self.list_images()
        self._check_entries(entries)
        labels: list = [None] * len(entries)
        if self.image_labels:
            labels = self.select_labels(self.read_labels(entries), entries)
        num_classes = len(self._metainfo['classes'])
        data_list = []
        for entry, label in zip(entries, labels, strict=True):
            data_info = {'img_path': entry.img_path, 'num_classes': num_classes}
            if label is not None:
                data_info['gt_label'] = label
            if entry.seg_map_path is not None:
                data_info['seg_map_path'] = entry.seg_map_path
            data_info['label_map'] = self.label_map
            data_info['reduce_zero_label'] = self.reduce_zero_label
            data_info['seg_fields'] = []
            data_list.append(data_info)
        return data_list

    def list_images(self) -> list[ImageEntry]:
        """Return the images of the split, or of the folder where there is no split."""
        if self.ann_file:
            lines = read_split(self.ann_file, self.backend_args)
            return [self.make_entry(name, where) for name, where in lines]
        names = fileio.list_dir_or_file(
            self.data_prefix['img_path'],
            list_dir=False,
            suffix=self.img_suffix,
            recursive=True,
            backend_args=self.backend_args,
        )
        return [self.make_entry(name) for name in sorted(names)]

    def make_entry(self, name: str, where: str = '') -> ImageEntry:
        """Return the paths of an image.

        Args:
            name: Name within the image folder, with or without extension.
            where: Line of the split file.
        """
        stem, suffix = osp.splitext(name)
        if suffix.lower() not in IMAGE_SUFFIXES:
            stem, suffix = name, self.img_suffix
        path = osp.join(self.data_prefix['img_path'], stem + suffix)
        return ImageEntry(path, self._mask_path(stem), where)

    def _mask_path(self, stem: str) -> str | None:
        """Return the mask of an image, by the rule of names where it is not named as the image."""
        folder = self.data_prefix.get('seg_map_path')
        if folder is None:
            return None
        path = osp.join(folder, stem + self.seg_map_suffix)
        if self.backend_args is not None or osp.isfile(path) or not osp.isdir(folder):
            return path
        if folder not in self._masks:
            self._masks[folder] = list_folder(folder, (self.seg_map_suffix,))
        found = self._masks[folder].images.path_of(stem)
        return path if found is None else osp.join(folder, found)

    def read_labels(self, entries: list[ImageEntry]) -> ImageLabels:
        """Return the labels of the source, by image id, over ``source_classes``.

        Args:
            entries: The images of the split.
        """
        images = [entry.image_id for entry in entries]
        return read_image_labels(self.labels_path(), self.source_classes, images=images)

    def labels_path(self) -> str:
        """Return the path of the label source: below ``data_root``, or as it is given."""
        below = osp.join(self.data_root or '', self.image_labels)
        as_given = not osp.exists(below) and osp.exists(self.image_labels)
        return self.image_labels if as_given else below

    def select_labels(self, labels: ImageLabels, entries: list[ImageEntry]) -> list[list[int]]:
        """Return the label of each image over the classes in use.

        Args:
            labels: Labels over ``source_classes``.
            entries: The images of the split.

        Raises:
            LabelFileError: an image has no entry.
        """
        missing = [entry.image_id for entry in entries if entry.image_id not in labels]
        if missing:
            raise LabelFileError(
                f'{self.labels_path()}: no entry for {len(missing)} of {len(entries)} images '
                f'({short_list(missing)}): add them, with an empty label where an image shows '
                'none of the classes, or take them out of the split.'
            )
        if self.label_map is None:
            return [list(labels[entry.image_id]) for entry in entries]
        new = {k: self.label_map[k + 1] - 1 for k in range(len(self.source_classes) - 1)}
        kept = {k: index for k, index in new.items() if index + 1 != self.ignore_index}
        return [sorted(kept[k] for k in labels[entry.image_id] if k in kept) for entry in entries]

    def filter_data(self) -> list[dict]:
        """Drop images without tags where ``filter_cfg`` asks for it."""
        if not (self.filter_cfg or {}).get('filter_empty_gt', False):
            return self.data_list
        kept = [data_info for data_info in self.data_list if data_info.get('gt_label')]
        if not kept:
            raise ValueError(
                f'{type(self).__name__}: none of the {len(self.data_list)} images of '
                f'{self._split_name()} has a tag, so filter_empty_gt leaves nothing: check '
                f'image_labels={self.image_labels!r} and the classes.'
            )
        return kept

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the foreground indices of an image, for ``ClassBalancedDataset``."""
        return self.get_data_info(idx)['gt_label']

    def class_counts(self) -> dict[str, int]:
        """Return the number of images that are tagged with each foreground class."""
        found = Counter(k for idx in range(len(self)) for k in self.get_cat_ids(idx))
        return {name: found[k] for k, name in enumerate(self.metainfo['classes'][1:])}

    def _split_name(self) -> str:
        return self.ann_file or self.data_prefix['img_path'] or 'the current folder'

    def _check_classes(self) -> None:
        """Refuse classes that do not start with the background."""
        classes = tuple(self._metainfo.get('classes') or ())
        background = str(classes[0]).lower() if classes else ''
        if len(classes) < 2 or background not in BACKGROUND_NAMES:
            raise ValueError(
                f'{type(self).__name__}: received classes={classes} where the background and at '
                "least one class are expected: set metainfo=dict(classes=('background', ...))."
            )
        if len(set(classes)) != len(classes):
            twice = short_list(name for name, n in Counter(classes).items() if n > 1)
            raise ValueError(
                f'{type(self).__name__}: classes names {twice} more than once: keep one.'
            )

    def _check_entries(self, entries: list[ImageEntry]) -> None:
        """Refuse an empty split, an image that is named twice, and images that do not exist."""
        if not entries:
            raise ValueError(
                f'{type(self).__name__}: {self._split_name()} names no image: check ann_file, '
                f"data_prefix['img_path'] and img_suffix={self.img_suffix!r}."
            )
        first: dict[str, ImageEntry] = {}
        for entry in entries:
            other = first.setdefault(image_id(entry.img_path), entry)
            if other is not entry:
                places = f' ({other.where} and {entry.where})' if entry.where else ''
                raise ValueError(
                    f'{type(self).__name__}: {self._split_name()} names {entry.image_id!r} twice'
                    f'{places}, {shown(other.img_path)} and {shown(entry.img_path)}: keep one, '
                    'since results are stored under the name of the image.'
                )
        if self.backend_args is None:
            self._check_files(entry.img_path for entry in entries)

    def _check_files(self, paths: Iterable[str]) -> None:
        """Refuse images that do not exist; each folder is listed once, no file is opened."""
        folders = defaultdict(list)
        for path in paths:
            folders[osp.dirname(path)].append(path)
        missing = []
        for folder, members in folders.items():
            present = set(os.listdir(folder or '.')) if osp.isdir(folder or '.') else set()
            missing += [path for path in members if osp.basename(path) not in present]
        if missing:
            total = sum(map(len, folders.values()))
            raise FileNotFoundError(
                f'{type(self).__name__}: {len(missing)} of {total} images of '
                f'{self._split_name()} do not exist ({short_list(missing, 3)}): check data_root '
                "and data_prefix['img_path'], or take them out of the split."
            )
