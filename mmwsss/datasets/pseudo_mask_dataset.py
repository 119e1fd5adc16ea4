"""The images of any data set with pseudo masks, to train an ordinary segmentation model."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmseg.registry import DATASETS

from mmwsss.utils import short_list

from .folder_files import list_folder
from .image_names import ImageNames
from .masks import check_num_classes
from .numbered import NumberedDataset


@DATASETS.register_module()
class PseudoMaskDataset(NumberedDataset):
    """Images of a data set, masks from a folder with one ``{image}.png`` each.

    That each image has its mask is found out when the data set is built, from a list of the folder;
    masks are opened by transforms alone. Their values are the classes in use, so nothing is mapped
    where ``dataset`` uses some of its classes.

    Args:
        dataset: Config of the data set that lists the images, such as ``ImageLevelVOCDataset`` or
            MMSeg's ``PascalVOCDataset``; its own masks and pipeline are not used.
        data_prefix: ``seg_map_path``, the folder of the pseudo masks as
            ``tools/make_pseudo_masks.py`` wrote it, relative to the current folder.
        **kwargs: Arguments of MMSeg's ``BaseSegDataset``, such as ``pipeline``.

    Raises:
        ValueError: no folder is named.
        MaskError: there are more classes than a mask holds.
        FileNotFoundError: the folder does not exist, or masks are missing in it.
    """

    def __init__(self, dataset: dict, *, data_prefix: Mapping[str, str], **kwargs: Any) -> None:
        if not data_prefix.get('seg_map_path'):
            raise ValueError(
                f'{type(self).__name__}: received data_prefix={dict(data_prefix)} where the folder '
                "of the pseudo masks is expected: set data_prefix['seg_map_path']."
            )
        self.images = DATASETS.build({**dataset, 'pipeline': []})
        metainfo = {key: self.images.metainfo[key] for key in ('classes', 'palette')}
        check_num_classes(len(metainfo['classes']), type(self).__name__)
        super().__init__(data_prefix=dict(data_prefix), metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Give each image the path of its pseudo mask.

        Returns:
            One data info an image.

        Raises:
            FileNotFoundError: see above.
        """
        folder = self.data_prefix['seg_map_path']
        if not osp.isdir(folder):
            raise FileNotFoundError(
                f'{type(self).__name__}: the folder of pseudo masks {folder} does not exist: make '
                "them with tools/make_pseudo_masks.py, or set data_prefix['seg_map_path'] to their "
                'folder.'
            )
        files = list_folder(folder, (self.seg_map_suffix,))
        data_list = [self.images.get_data_info(index) for index in range(len(self.images))]
        names = ImageNames(data_info['img_path'] for data_info in data_list)
        masks = files.of(names)
        missing = []
        for data_info in data_list:
            name = names.of[data_info['img_path']]
            if name not in masks:
                missing.append(name + self.seg_map_suffix)
            data_info.update(
                seg_map_path=masks.get(name),
                num_classes=len(self.metainfo['classes']),
                label_map=None,
            )
        if missing:
            raise FileNotFoundError(
                f'{type(self).__name__}: {len(missing)} of {len(data_list)} images have no pseudo '
                f'mask in {folder} ({short_list(missing, 3)}): make those of this split with '
                "tools/make_pseudo_masks.py, or set data_prefix['seg_map_path'] to their folder."
            )
        return data_list
