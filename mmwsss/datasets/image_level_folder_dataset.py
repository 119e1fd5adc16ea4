"""A folder of images with a table of tags."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmseg.registry import DATASETS

from mmwsss.utils import short_list

from .class_names import class_names
from .folder_files import FolderFiles, list_folder
from .image_labels import ImageLabels, LabelFileError, read_image_labels
from .image_level_dataset import ImageEntry, ImageLevelDataset
from .palette import voc_palette


@DATASETS.register_module()
class ImageLevelFolderDataset(ImageLevelDataset):
    """A folder of images of any classes, tagged in a CSV or JSON file.

    .. code-block:: none

        data/animals
        |-- images/      any names, subfolders too; each name once
        |-- labels.csv   image,labels
        |                rex.jpg,dog;person
        |                empty.jpg,
        |-- train.txt    optional: names of the images of a split, one a line
        `-- masks/       optional, for evaluation: rex.png, index masks

    Every image needs an entry, and every entry an image, where there are tags.

    Args:
        ann_file: Split file; '' takes all images of the folder.
        image_labels: CSV or JSON file of tags, or anything that
            :func:`~mmwsss.datasets.read_image_labels` reads. With ``test_mode=True`` it may be
            left out: pictures of which nothing is known, to be predicted.
        data_prefix: Folders, as in :class:`ImageLevelDataset`; ``img_path`` is ``images``.
        metainfo: ``dict(classes=('background', ...))``, or ``dict(classes='imagenet')`` for its
            1,000 classes; where there is no ``palette``, the colours are those of VOC.
        **kwargs: Arguments of :class:`ImageLevelDataset`.

    Raises:
        FileNotFoundError: the folder does not exist.
        LabelFileError: an image has no entry, an entry has no image.
    """

    def __init__(
        self,
        ann_file: str = '',
        *,
        image_labels: str | None = None,
        data_prefix: Mapping[str, str | None] | None = None,
        metainfo: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._files = FolderFiles('', [], {})
        prefix = {'img_path': 'images', **(data_prefix or {})}
        # the colours of pseudo masks, where MMSeg would draw some
        meta = dict(metainfo or {})
        if meta.get('classes') == 'imagenet':
            meta['classes'] = class_names(['imagenet'])
        palette = voc_palette(len(meta.get('classes') or ()))
        super().__init__(
            ann_file=ann_file,
            image_labels=image_labels,
            data_prefix=prefix,
            metainfo={'palette': palette, **meta},
            **kwargs,
        )

    def list_images(self) -> list[ImageEntry]:
        """Return the images of the split, or all of the folder."""
        folder = self.data_prefix['img_path']
        if not osp.isdir(folder):
            raise FileNotFoundError(
                f'{type(self).__name__}: the folder {folder} does not exist: check data_root and '
                "data_prefix['img_path']."
            )
        masks = self.data_prefix.get('seg_map_path')
        self._files = list_folder(folder, without=[masks] if masks else [])
        if not self.ann_file:
            return [self.make_entry(name) for name in self._files.names]
        return super().list_images()

    def make_entry(self, name: str, where: str = '') -> ImageEntry:
        """Return the paths of an image; its name is looked up in the folder.

        Args:
            name: Name within the image folder.
            where: Line of the split file.
        """
        return super().make_entry(self._files.images.path_of(name) or name, where)

    def read_labels(self, entries: list[ImageEntry]) -> ImageLabels:
        """Return the labels by image id.

        Args:
            entries: The images of the split.

        Raises:
            LabelFileError: an entry has no image.
        """
        path = self.labels_path()
        files = self._files.images
        labels = read_image_labels(path, self.source_classes, images=self._files.names)
        known = set(files.of.values())
        orphans = [name for name in labels if name not in known]
        if orphans:
            raise LabelFileError(
                f'{path}: {len(orphans)} of {len(labels)} entries have no image in '
                f'{self.data_prefix["img_path"]} ({short_list(orphans)}): add the images or take '
                f'the entries out.{self._files.hint()}'
            )
        folder = self.data_prefix['img_path']
        names = {osp.join(folder, path): name for path, name in files.of.items()}
        pairs = [(entry.image_id, names.get(entry.img_path)) for entry in entries]
        return {image: labels[name] for image, name in pairs if name in labels}
