"""Image-level labels and valid boxes of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.ops.affinity_labels import IGNORE_INDEX
from mmwsss.utils import ModelMismatchError


def check_label_classes(model: object, num_classes: int) -> None:
    """Check that uint8 pseudo labels can hold all classes of a model.

    Args:
        num_classes: Number of classes including background.

    Raises:
        ValueError: there are more than 255.
    """
    if num_classes > IGNORE_INDEX:
        raise ValueError(
            f'{type(model).__name__}: num_classes={num_classes}, but pseudo labels hold at most '
            f'{IGNORE_INDEX} classes including background ({IGNORE_INDEX} means ignored); use '
            'fewer classes.'
        )


def valid_boxes(
    data_samples: Sequence[SegDataSample], size: tuple[int, ...]
) -> list[tuple[int, int, int, int]]:
    """Return top, left, bottom and right of what is image in each sample, by default all of it.

    Args:
        data_samples: Samples of a batch.
        size: Height and width of the batch.

    Example:
        >>> samples = [SegDataSample(), SegDataSample(metainfo=dict(valid_box=(0, 1, 2, 4)))]
        >>> valid_boxes(samples, (2, 4))
        [(0, 0, 2, 4), (0, 1, 2, 4)]
    """
    return [tuple(sample.metainfo.get('valid_box', (0, 0, *size))) for sample in data_samples]


def labels_from_mask(mask: Tensor, num_classes: int) -> Tensor:
    """Return the multi-hot foreground labels of a mask.

    Shapes:
        mask: ``(1, H, W)`` int64; 255 and values from ``num_classes`` on are ignored.
        returns: ``(num_classes - 1,)`` float.

    Example:
        >>> labels_from_mask(torch.tensor([[[0, 2], [2, 255]]]), 4)
        tensor([0., 1., 0.])
    """
    values = mask.flatten()
    # ignored pixels go to an extra last slot
    place = torch.where((values < num_classes) & (values != IGNORE_INDEX), values, num_classes)
    present = torch.zeros(num_classes + 1, device=mask.device)
    return present.scatter_(0, place, 1.0)[1:num_classes]


def image_labels(
    data_samples: Sequence[SegDataSample], num_classes: int, device: torch.device | str
) -> Tensor:
    """Stack the image-level labels of a batch.

    Uses ``gt_score`` if a sample has it, otherwise the classes of its mask, as provided by MMSeg's
    own pipelines.

    Args:
        num_classes: Number of classes of the model including background.

    Shapes:
        returns: ``(N, num_classes - 1)`` float multi-hot.

    Raises:
        ValueError: a sample has neither labels nor a mask.
        ModelMismatchError: a sample is labelled with a different number of classes.
    """
    labels = []
    for sample in data_samples:
        if 'gt_score' in sample:
            label = sample.gt_score
        elif 'gt_sem_seg' in sample:
            label = labels_from_mask(sample.gt_sem_seg.data, num_classes)
        else:
            raise ValueError(
                f'image {sample.metainfo.get("img_path", "of the batch")} has no image-level '
                'labels (gt_score): use an image-level data set with PackWeakInputs, or for '
                'prediction without tags test_cfg=dict(use_image_labels=False).'
            )
        if label.numel() != num_classes - 1:
            raise ModelMismatchError(
                f'image {sample.metainfo.get("img_path", "of the batch")} is labelled among '
                f'{label.numel()} foreground classes but the model has num_classes='
                f'{num_classes}, background included: set num_classes={label.numel() + 1} in '
                'the model, or train on a data set with the classes of the model.'
            )
        labels.append(label)
    return torch.stack(labels).to(device=device, dtype=torch.float32)
