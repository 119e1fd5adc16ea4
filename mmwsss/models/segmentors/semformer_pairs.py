"""SemFormer's pairs of images and classes, and the parts of the images that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.models.utils import valid_boxes
from mmwsss.ops import valid_mask


class Pairs(NamedTuple):
    """All pairs of an image and a class that it shows, by image, then by class.

    Shapes:
        image: ``(M,)`` int64, index of the image.
        classes: ``(M,)`` int64, index of the class.
        own: ``(M, K + 1)`` bool, the class.
        others: ``(M, K + 1)`` bool, the other classes that the image shows.
    """

    image: Tensor
    classes: Tensor
    own: Tensor
    others: Tensor


def present_pairs(labels: Tensor, data_samples: Sequence[SegDataSample] = ()) -> Pairs:
    """Pair each image with each class that it shows, the background first.

    Where samples have ``gt_label``, as ``PackWeakInputs`` makes it, nothing waits for values.

    Shapes:
        labels: ``(N, K + 1)`` multi-hot, background first.

    Example:
        >>> pairs = present_pairs(torch.tensor([[1, 0, 1], [1, 0, 0]]))
        >>> pairs.image.tolist(), pairs.classes.tolist()
        ([0, 0, 1], [0, 2, 0])
    """
    if data_samples and all('gt_label' in sample for sample in data_samples):
        tags = [F.pad(sample.gt_label + 1, (1, 0)) for sample in data_samples]
        counts = torch.tensor([len(tag) for tag in tags])
        image = torch.arange(len(tags)).repeat_interleave(counts)
        image, classes = image.to(labels.device, non_blocking=True), torch.cat(tags)
        classes = classes.to(labels.device)
    else:
        image, classes = labels.nonzero(as_tuple=True)
    own = torch.arange(labels.shape[1], device=labels.device) == classes[:, None]
    return Pairs(image, classes, own, (labels[image] > 0) & ~own)


def resized_valid_mask(
    data_samples: Sequence[SegDataSample],
    size: tuple[int, int],
    new_size: tuple[int, int],
    device: torch.device | str,
) -> Tensor:
    """Return where there is image after resizing: valid boxes in proportion, rounded down.

    Args:
        data_samples: Samples of a batch; one without ``valid_box`` is image everywhere.
        size: Height and width to which the boxes belong.
        new_size: Height and width that are wanted.
        device: Where it goes.

    Shapes:
        returns: ``(N, 1, *new_size)`` bool.

    Example:
        >>> sample = SegDataSample(metainfo=dict(valid_box=(0, 1, 2, 4)))
        >>> resized_valid_mask([sample], (2, 4), (1, 3), 'cpu').flatten().tolist()
        [True, True, True]
    """
    boxes = valid_boxes(data_samples, size)
    # top, left, bottom, right
    boxes = torch.tensor(boxes) * torch.tensor(new_size).repeat(2) // torch.tensor(size).repeat(2)
    return valid_mask(boxes.to(device, non_blocking=True), new_size)
