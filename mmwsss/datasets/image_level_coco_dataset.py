"""MS COCO with image-level labels."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from .image_labels import ImageLabels
from .image_level_dataset import ImageEntry, ImageLevelDataset
from .label_readers.coco_json import coco_entries, named_items
from .label_readers.common import LabelTable, refuse
from .label_readers.json_file import load_instances
from .palette import voc_palette

# fmt: off
COCO_CLASSES = (
    'background', 'person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck',
    'boat', 'traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'bench', 'bird', 'cat',
    'dog', 'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'backpack',
    'umbrella', 'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard', 'sports ball',
    'kite', 'baseball bat', 'baseball glove', 'skateboard', 'surfboard', 'tennis racket', 'bottle',
    'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange',
    'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair', 'couch', 'potted plant',
    'bed', 'dining table', 'toilet', 'tv', 'laptop', 'mouse', 'remote', 'keyboard', 'cell phone',
    'microwave', 'oven', 'toaster', 'sink', 'refrigerator', 'book', 'clock', 'vase', 'scissors',
    'teddy bear', 'hair drier', 'toothbrush',
)
# fmt: on
_IMAGE_FOLDERS = ('{0}', 'images/{0}', 'JPEGImages/{0}', 'images/{1}', 'JPEGImages/{1}')


@DATASETS.register_module()
class ImageLevelCOCODataset(ImageLevelDataset):
    """MS COCO 2014 (or 2017), 80 classes in the order of their ids, tags from its instances.

    .. code-block:: none

        data/coco2014
        |-- annotations/             instances_train2014.json, instances_val2014.json
        |-- train2014/               or images/train2014, JPEGImages/train2014, JPEGImages/train
        |-- val2014/
        `-- SegmentationClass/       val2014/COCO_val2014_000000000042.png, for evaluation

    Objects marked ``iscrowd`` are tags like others. Images without any object, which the field
    leaves out (82,081 and 40,137 remain), go with ``filter_cfg=dict(filter_empty_gt=True)``.

    Args:
        ann_file: Instances JSON that lists the images, or a split file with a name a line.
        image_labels: Source of the tags; None: the instances JSON of ``ann_file``.
        data_prefix: Folders, as in :class:`ImageLevelDataset`.
        **kwargs: Arguments of :class:`ImageLevelDataset`.

    Raises:
        LabelFileError: the JSON is not one of instances, or see :class:`ImageLevelDataset`.
    """

    METAINFO = {'classes': COCO_CLASSES, 'palette': voc_palette(len(COCO_CLASSES))}

    def __init__(
        self,
        ann_file: str = 'annotations/instances_train2014.json',
        *,
        image_labels: str | None = None,
        data_prefix: Mapping[str, str | None] | None = None,
        **kwargs: Any,
    ) -> None:
        if image_labels is None and ann_file.endswith('.json'):
            image_labels = ann_file
        self._instances: dict[str, Any] | None = None
        prefix = {'img_path': 'train2014', **(data_prefix or {})}
        super().__init__(ann_file=ann_file, image_labels=image_labels, data_prefix=prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Join the images with their labels; the JSON is read once and let go."""
        if self.ann_file.endswith('.json'):
            self._instances = self._load()
        try:
            return super().load_data_list()
        finally:
            self._instances = None

    def _load(self) -> dict[str, Any]:
        advice = 'set ann_file to one, or to a split file (.txt).'
        return load_instances(Path(self.ann_file), advice=advice)

    def list_images(self) -> list[ImageEntry]:
        """Return the images of the JSON, or of the split file."""
        if not self.ann_file.endswith('.json'):
            return super().list_images()
        content = self._instances or self._load()
        names = named_items(content, 'images', 'file_name', Path(self.ann_file), refuse)
        numbered = enumerate(names.values(), start=1)
        return [self.make_entry(osp.basename(name), f'image {n}') for n, name in numbered]

    def read_labels(self, entries: list[ImageEntry]) -> ImageLabels:
        """Return the labels by image id.

        Args:
            entries: The images of the split.
        """
        path = self.labels_path()
        if self._instances is None or osp.abspath(path) != osp.abspath(self.ann_file):
            return super().read_labels(entries)
        table = LabelTable(path, self.source_classes)
        for entry in coco_entries(self._instances, Path(path), refuse):
            table.add(entry)
        return table.labels

    def _join_prefix(self) -> None:
        """Find the folder of the images where ``data_root`` has it in another place."""
        name = self.data_prefix['img_path']
        short = name.removesuffix('2014').removesuffix('2017')
        for pattern in _IMAGE_FOLDERS:
            folder = pattern.format(name, short)
            if osp.isdir(osp.join(self.data_root, folder)):
                self.data_prefix['img_path'] = folder
                break
        super()._join_prefix()
