"""The images of any data set with pseudo masks, to train an ordinary segmentation model."""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmseg.registry import DATASETS

from .image_labels import image_id
from .label_readers import short_list
from .masks import check_num_classes
from .numbered_dataset import NumberedDataset


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
        present = set(os.listdir(folder))
        data_list, missing = [], []
        for index in range(len(self.images)):
            data_info = self.images.get_data_info(index)
            name = image_id(data_info['img_path']) + self.seg_map_suffix
            if name not in present:
                missing.append(name)
            data_info.update(
                seg_map_path=osp.join(folder, name),
                num_classes=len(self.metainfo['classes']),
                label_map=None,
            )
            data_list.append(data_info)
        if missing:
            raise FileNotFoundError(
                f'{type(self).__name__}: {len(missing)} of {len(data_list)} images have no pseudo '
                f'mask in {folder} ({short_list(missing, 3)}): make those of this split with '
                "tools/make_pseudo_masks.py, or set data_prefix['seg_map_path'] to their folder."
            )
        return data_list
