"""What methods share that make pseudo masks of a batch while they train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.ops import pad_tags, valid_mask
from mmwsss.ops.valid_boxes import Boxes

SHRINK = 2  # images are refined at half their size


def eight_bit_images(inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return the images that normalised inputs were made of, cut, not rounded, to 8 bits.

    Source: the published code of Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664

    Shapes:
        inputs: ``(N, 3, H, W)`` float.
        mean: ``(3, 1, 1)`` float, as ``std``.
        returns: ``(N, 3, H, W)`` float of the integers 0 to 255.

    Example:
        >>> mean, std = torch.full((3, 1, 1), 100.), torch.full((3, 1, 1), 50.)
        >>> eight_bit_images(torch.full((1, 3, 1, 1), .998), mean, std).flatten()
        tensor([149., 149., 149.])
    """
    return (inputs.float() * std + mean).clamp_(0, 255).trunc_()


class KnownImages(NamedTuple):
    """What is known of the images of a batch.

    Shapes:
        images: ``(N, 3, H, W)`` float, of :func:`eight_bit_images`.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        boxes: N valid boxes (top, left, bottom, right), integers on the CPU.
        valid: ``(N, 1, H, W)`` bool, where there is image and not padding.
    """

    images: Tensor
    classes: Tensor
    boxes: Boxes
    valid: Tensor


def known_images(
    images: Tensor, data_samples: Sequence[SegDataSample], tags: Tensor
) -> KnownImages:
    """Collect images, tags and valid boxes of a batch.

    Where samples have ``gt_label``, as ``PackWeakInputs`` makes it, nothing waits for values.

    Shapes:
        images: ``(N, 3, H, W)`` float, of :func:`eight_bit_images`.
        tags: ``(N, K)`` multi-hot.
    """
    size = tuple(images.shape[2:])
    classes = [
        sample.gt_label.to(tags.device) if 'gt_label' in sample else tag.nonzero().flatten()
        for sample, tag in zip(data_samples, tags, strict=True)
    ]
    boxes = [tuple(s.metainfo.get('valid_box', (0, 0, *size))) for s in data_samples]
    valid = valid_mask(torch.tensor(boxes).to(tags.device, non_blocking=True), size)
    return KnownImages(images, pad_tags(classes), boxes, valid)


def decoder_loss(head: BaseDecodeHead, logits: Tensor, target: Tensor) -> Tensor:
    """Return the sum of a decode head's losses on pseudo masks.

    Args:
        head: The decode head, with one loss or several.

    Shapes:
        logits: ``(N, K + 1, h, w)`` float, resized to the masks' size here.
        target: ``(N, H, W)`` integers.
    """
    logits = F.interpolate(
        logits, target.shape[1:], mode='bilinear', align_corners=head.align_corners
    )
    losses = head.loss_decode
    losses = losses if isinstance(losses, nn.ModuleList) else [losses]
    target = target.long()
    return sum(loss(logits, target, ignore_index=head.ignore_index) for loss in losses)
