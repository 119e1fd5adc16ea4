"""The Emblems data set with image-level labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmseg.registry import DATASETS

from .emblems import SPLITS, read_description
from .emblems_shapes import EMBLEMS, emblem_palette
from .image_level_dataset import ImageLevelDataset


@DATASETS.register_module()
class EmblemsDataset(ImageLevelDataset):
    """A split of Emblems, drawn by ``tools/dataset_converters/make_emblems.py``.

    Classes and palette are read from the description of the data set.

    Args:
        ann_file: ``train``, ``val`` or a custom split file, relative to ``data_root``.
        data_root: Folder of the data set.
        image_labels: Source of the image-level labels, relative to ``data_root``.
        data_prefix: Folders, relative to ``data_root``; with ``seg_map_path``
            (``SegmentationClass``) samples have masks for evaluation.
        metainfo: A subset of the classes.
        **kwargs: Arguments of :class:`ImageLevelDataset`.

    Raises:
        FileNotFoundError: the data set does not exist.
        ValueError: it is incomplete, or its description is invalid.
    """

    METAINFO = dict(classes=('background', *EMBLEMS), palette=emblem_palette(len(EMBLEMS)))

    def __init__(
        self,
        ann_file: str = 'train',
        *,
        data_root: str = 'data/emblems',
        image_labels: str = 'image_labels.json',
        data_prefix: Mapping[str, str | None] | None = None,
        metainfo: dict | None = None,
        **kwargs: Any,
    ) -> None:
        description = read_description(data_root)
        if not description['complete']:
            raise ValueError(
                f'EmblemsDataset: {data_root} is incomplete: run '
                'tools/dataset_converters/make_emblems.py again to complete it.'
            )
        drawn = {key: description[key] for key in ('classes', 'palette')}
        if ann_file in SPLITS:
            ann_file = f'ImageSets/Segmentation/{ann_file}.txt'
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            image_labels=image_labels,
            data_prefix={'img_path': 'JPEGImages', **(data_prefix or {})},
            metainfo=metainfo or drawn,
            **kwargs,
        )
