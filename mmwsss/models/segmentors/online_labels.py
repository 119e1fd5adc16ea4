"""Shared code of methods that make pseudo masks during training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmseg.models import SegDataPreProcessor
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.models.utils import valid_boxes
from mmwsss.ops import pad_tags, valid_mask
from mmwsss.ops.valid_boxes import Boxes

SHRINK = 2  # images are refined at half size
_resize = partial(F.interpolate, mode='bilinear', align_corners=False)


def fill_train_cfg(name: str, train_cfg: Mapping | None, defaults: Mapping[str, Any]) -> ConfigDict:
    """Return ``train_cfg`` of a method with the defaults filled in.

    Args:
        name: Name of the method, for errors.
        defaults: All allowed keys with their defaults, including ``bg_scores`` (low and high).

    Raises:
        ValueError: a key is unknown, or ``bg_scores`` are not an increasing pair.
    """
    cfg = ConfigDict({**defaults, **(train_cfg or {})})
    if unknown := set(cfg) - set(defaults):
        raise ValueError(
            f'{name}: train_cfg has no {", ".join(sorted(unknown))}; it has '
            f'{", ".join(sorted(defaults))}.'
        )
    scores = cfg.bg_scores
    if not isinstance(scores, Sequence) or len(scores) != 2 or not scores[0] < scores[1]:
        raise ValueError(
            f'{name}: train_cfg.bg_scores must be a low and a higher background score, got '
            f'{scores}.'
        )
    return cfg


def eight_bit_images(inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Undo the normalisation of images, truncating values to 8 bits instead of rounding.

    Source: the published code of Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664

    Shapes:
        inputs: ``(N, 3, H, W)`` float.
        mean: ``(3, 1, 1)`` float, as ``std``.
        returns: ``(N, 3, H, W)`` float, whole numbers from 0 to 255.

    Example:
        >>> mean, std = torch.full((3, 1, 1), 100.), torch.full((3, 1, 1), 50.)
        >>> eight_bit_images(torch.full((1, 3, 1, 1), .998), mean, std).flatten()
        tensor([149., 149., 149.])
    """
    return (inputs.float() * std + mean).clamp_(0, 255).trunc_()


class KnownImages(NamedTuple):
    """Images of a batch with their tags and valid boxes.

    Shapes:
        images: ``(N, 3, H, W)`` float, of :func:`eight_bit_images`.
        classes: ``(N, S)`` int64 of :func:`~mmwsss.ops.pad_tags`.
        boxes: N valid boxes (top, left, bottom, right), integers on the CPU.
        valid: ``(N, 1, H, W)`` bool, False in the padding.
    """

    images: Tensor
    classes: Tensor
    boxes: Boxes
    valid: Tensor


def known_images(
    images: Tensor, data_samples: Sequence[SegDataSample], tags: Tensor
) -> KnownImages:
    """Collect images, tags and valid boxes of a batch.

    Does not synchronise with the GPU if samples have ``gt_label`` (see ``PackWeakInputs``).

    Shapes:
        images: ``(N, 3, H, W)`` float, of :func:`eight_bit_images`.
        tags: ``(N, K)`` multi-hot.
    """
    size = tuple(images.shape[2:])
    classes = [
        sample.gt_label.to(tags.device) if 'gt_label' in sample else tag.nonzero().flatten()
        for sample, tag in zip(data_samples, tags, strict=True)
    ]
    boxes = valid_boxes(data_samples, size)
    valid = valid_mask(torch.tensor(boxes).to(tags.device, non_blocking=True), size)
    return KnownImages(images, pad_tags(classes), boxes, valid)


def training_iteration() -> float:
    """Return the iteration of MMEngine's runner, counted from 0; infinity without a runner.

    Remains correct after resuming. In a custom training loop, call
    ``MessageHub.get_current_instance().update_info('iter', iteration)``.
    """
    return MessageHub.get_current_instance().get_info('iter', float('inf'))


def idle_loss(module: nn.Module, like: Tensor) -> Tensor:
    """Return a zero loss that depends on all parameters of a module, without running it.

    Gives every parameter a zero gradient, so that DDP does not wait for a missing one, and the
    moments of the optimiser match the published code, which multiplies losses by 0.

    Args:
        like: Tensor with the dtype and device of the loss.
    """
    return sum((0 * parameter.sum() for parameter in module.parameters()), like.new_zeros(()))


def packed_views(
    preprocessor: SegDataPreProcessor,
    inputs: Tensor,
    data_samples: Sequence[SegDataSample],
    name: str,
    *,
    moved: bool = False,
) -> Tensor:
    """Return an additional view of each image, see :class:`AddView`, or the images themselves.

    Args:
        preprocessor: Preprocessor of the model, which normalises the views.
        data_samples: Samples with the view; if any lacks it, ``inputs`` are returned.
        name: Name of the view.
        moved: Whether the view shows another part of the image, so that the valid box of the
            inputs does not apply.

    Shapes:
        inputs: ``(N, 3, H, W)`` float, normalised.
        returns: ``(N, 3, H, W)`` float, normalised and padded like the inputs.
    """
    if not all(name in sample for sample in data_samples):
        return inputs
    views = [getattr(sample, name) for sample in data_samples]
    # the preprocessor writes sizes into samples, so do not pass those of the inputs
    samples = [SegDataSample(metainfo={} if moved else s.metainfo) for s in data_samples]
    return preprocessor(dict(inputs=views, data_samples=samples), training=True)['inputs']


def mirrored_maximum(
    maps_of: Callable[[Tensor], Tensor],
    images: Tensor,
    size: Sequence[int],
    maps: Tensor | None = None,
) -> Tensor:
    """Return the rectified maximum of the maps of an image and its mirror image, resized.

    Source: Ru et al., CVPR 2022, https://arxiv.org/abs/2203.02664, and its published code.

    Args:
        maps_of: Function that returns the maps of images.
        size: Height and width of the result.
        maps: Maps of the images, if already known.

    Shapes:
        images: ``(N, 3, H, W)`` float, normalised.
        maps: ``(N, C, h, w)`` float.
        returns: ``(N, C, *size)`` float32, at least 0.
    """
    views = [images, images.flip(3)] if maps is None else [images.flip(3)]
    found = maps_of(torch.cat(views)).chunk(len(views))
    maps, mirrored = found if maps is None else (maps, *found)
    maps, mirrored = _resize(maps.float(), size), _resize(mirrored.float(), size)
    return torch.maximum(maps, mirrored.flip(3)).relu_()


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
