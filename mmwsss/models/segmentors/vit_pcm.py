"""ViT-PCM: patches classified by a transformer, equivariant between two views."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.models.utils import image_labels

from .apc import APC, patches_inside
from .online_labels import KnownImages, known_images
from .patch_labels import tagged_patch_scores


def four_in_one(images: Tensor) -> Tensor:
    """Lay the images of a batch together, four in one; where some are lacking, the first again.

    Shapes:
        images: ``(N, C, h, w)``.
        returns: ``(ceil(N / 4), C, 2h, 2w)``.

    Example:
        >>> four_in_one(torch.arange(3.).view(3, 1, 1, 1)).tolist()
        [[[[0.0, 1.0], [2.0, 0.0]]]]
    """
    number = -(-len(images) // 4)
    index = torch.arange(4 * number, device=images.device) % len(images)
    parts = images[index].unflatten(0, (number, 2, 2))  # (M, row, column, C, h, w)
    return parts.permute(0, 3, 1, 4, 2, 5).flatten(2, 3).flatten(3, 4)


def one_of_four(maps: Tensor, number: int) -> Tensor:
    """Take apart what :func:`four_in_one` laid together.

    Args:
        number: How many images there were.

    Shapes:
        maps: ``(M, C, 2h, 2w)``.
        returns: ``(number, C, h, w)``.

    Example:
        >>> one_of_four(four_in_one(torch.arange(3.).view(3, 1, 1, 1)), 3).flatten()
        tensor([0., 1., 2.])
    """
    parts = maps.unflatten(3, (2, -1)).unflatten(2, (2, -1))  # (M, C, row, h, column, w)
    return parts.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)[:number]


@MODELS.register_module()
class ViTPCM(APC):
    """ViT Patch-Class Mapping (ViT-PCM), the baseline of :class:`APC`.

    Source: Rossetti et al., ECCV 2022, https://arxiv.org/abs/2210.17400, and its published code,
    https://github.com/deepplants/ViT-PCM

    The strongest patch speaks for the image. A second view of each image, in colours of its own, is
    transformed, four views are laid together to an image of the usual size, and every patch of a
    view has to say what the first view, seen without dropout, says of that place: the shares of
    background and tagged classes (:func:`.tagged_patch_scores`), each class divided by
    its maximum over the view.

    The L2 term of the published code on the classifier, ``0.01 * |W|^2``, is a weight decay of
    0.02 on ``cam_head.conv_cam`` with Adam, which adds it to the gradient.

    Args:
        transformation: Config of the transformation of the second view;
            :class:`RandomPatchView` by default.
        loss_et: Config of the loss between the views; None leaves the second view out.
        **kwargs: Arguments of :class:`APC`.
    """

    def __init__(
        self,
        *,
        transformation: dict | None = None,
        loss_et: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.transformation = MODELS.build(transformation or dict(type='RandomPatchView'))
        self.loss_et = MODELS.build(loss_et) if loss_et else None

    def second_views(self, inputs: Tensor, data_samples: list[SegDataSample]) -> Tensor:
        """Return the images as :class:`AddSecondView` recoloured them, or the images themselves.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            returns: ``(N, 3, H, W)`` float, normalised and padded as the inputs are.
        """
        if not all('second_view' in sample for sample in data_samples):
            return inputs
        views = [sample.second_view for sample in data_samples]
        # the preprocessor writes sizes into samples: those of the first view are left alone
        samples = [SegDataSample(metainfo=sample.metainfo) for sample in data_samples]
        data = dict(inputs=views, data_samples=samples)
        return self.data_preprocessor(data, training=True)['inputs']

    @contextmanager
    def _without_chance(self) -> Iterator[None]:
        """Run without dropout and without a gradient."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.train(training)

    def _equivariance(
        self, inputs: Tensor, data_samples: list[SegDataSample], known: KnownImages
    ) -> Tensor:
        """Return the loss between the views."""
        with self._without_chance():
            first = self.cam_head(self.extract_feat(inputs))[0]
        second = self.transformation(self.second_views(inputs, data_samples))
        scores = self.cam_head(self.extract_feat(four_in_one(second.images)))[0]
        scores = one_of_four(scores, len(inputs))
        inside = patches_inside(known.valid, first.shape[2:]).to(first.dtype)
        # a cell of the second view lies between cells of the first
        valid = second.warp(inside) >= 0.5
        shares = tagged_patch_scores(second.warp(first), known.classes, valid)
        return self.loss_et(scores, shares, known.classes, valid)

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return ``loss_cls`` and ``loss_et`` of a batch, and the losses of :class:`APC` if any.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        losses = super().loss(inputs, data_samples)
        if self.loss_et is not None:
            tags = image_labels(data_samples, self.num_classes, inputs.device)
            known = known_images(inputs, data_samples, tags)
            losses['loss_et'] = self._equivariance(inputs, data_samples, known)
        return losses
