"""Dense energy loss: the energy of a fully connected CRF as a regulariser."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmwsss.ops import PermutohedralLattice, pixel_features


def dense_energy_loss(
    images: Tensor,
    probs: Tensor,
    gate: Tensor | None = None,
    valid: Tensor | None = None,
    *,
    sigma_rgb: float = 15.0,
    sigma_xy: float = 100.0,
) -> Tensor:
    r"""Pixels that are near and alike in colour should be of one class.

    :math:`-\frac{1}{N} \sum_n \sum_k S_k^\top W S_k` with :math:`S_k` the probabilities of
    class k at the valid pixels and W the bilateral Gaussian kernel, as the permutohedral
    lattice approximates it. Where the probabilities of a pixel sum to 1 it differs from the
    relaxed Potts energy :math:`\sum_k S_k^\top W (1 - S_k)` by what is the same for all
    classes, so the gradient of the logits is the same.

    The gate multiplies the gradient of each pixel and not the value: where it is 0 a pixel
    does not move, but still draws others to its class.

    Source: Tang et al., ECCV 2018, https://arxiv.org/abs/1803.09569

    Args:
        gate: How much each pixel gives way; everywhere 1 by default.
        valid: Pixels of the image; what lies elsewhere counts for nothing.
        sigma_rgb: Standard deviation of colours, in the images' unit.
        sigma_xy: Standard deviation of positions, pixels.

    Shapes:
        images: ``(N, 3, H, W)``, commonly RGB in [0, 255].
        probs: ``(N, C, H, W)`` float.
        gate: ``(N, 1, H, W)`` float in [0, 1].
        valid: ``(N, 1, H, W)`` float, 0 or 1.
        returns: scalar, at most 0.

    Example:
        >>> dense_energy_loss(torch.zeros(1, 3, 1, 2), torch.ones(1, 1, 1, 2)).round()
        tensor(-4.)
    """
    if valid is not None:
        probs = probs * valid
        # the lattice has a point for every pixel: none may depend on what is not the image
        images = images * valid
    if gate is not None:
        probs = probs * gate + (probs * (1 - gate)).detach()
    features = pixel_features(images, sigma_xy=sigma_xy, sigma_rgb=sigma_rgb)
    flat = probs.flatten(2)
    return -(flat * PermutohedralLattice(features).filter(flat)).sum() / len(flat)


@MODELS.register_module()
class DenseEnergyLoss(nn.Module):
    """:func:`dense_energy_loss` of a segmentation network, at reduced size, gated by confidence.

    A pixel gives way by 1 minus its largest probability, by 1 where it has no label. As in the
    published code, probabilities are resized bilinearly and the rest to the nearest pixel, and
    the standard deviation of positions shrinks with the image.

    The defaults are AFA's, which adds 0.01 times this loss to the others: its ``loss_weight`` is
    1e-9 in all. What AFA hands over is its pseudo mask as ``labels`` and
    :func:`mmwsss.ops.valid_mask` of the valid boxes as ``valid``.

    Source: Ru et al., CVPR 2022, Sec. 3.5, https://arxiv.org/abs/2203.02664, and Tang et al.,
    ECCV 2018, https://arxiv.org/abs/1803.09569

    Args:
        loss_weight: Factor on the loss at the reference size.
        sigma_rgb: Standard deviation of colours in [0, 255].
        sigma_xy: Standard deviation of positions, pixels of the full size.
        scale: Size at which the loss is computed, relative to the images'.
        ignore_index: Label of pixels without one.
        reference_size: Side S of a square image at which the loss is the sum over all pairs of
            pixels that it is in the published code. One of H x W is multiplied by
            (S^2 / (H W))^2, the ratio of the numbers of pairs, so that the weight beside a loss
            that is a mean over pixels does not depend on the size. None leaves the sum as it is.

    Raises:
        ValueError: a deviation, the scale or the reference size is not positive.
    """

    def __init__(
        self,
        loss_weight: float = 1e-7,
        *,
        sigma_rgb: float = 15.0,
        sigma_xy: float = 100.0,
        scale: float = 0.5,
        ignore_index: int = 255,
        reference_size: int | None = 512,
    ) -> None:
        super().__init__()
        if min(sigma_rgb, sigma_xy, scale) <= 0:
            raise ValueError(
                'DenseEnergyLoss: sigma_rgb, sigma_xy and scale must be positive, got '
                f'{sigma_rgb}, {sigma_xy} and {scale}.'
            )
        if reference_size is not None and reference_size < 1:
            raise ValueError(
                f'DenseEnergyLoss: reference_size must be positive or None, got {reference_size}.'
            )
        self.reference_size = reference_size
        self.loss_weight = loss_weight
        self.sigma_rgb = sigma_rgb
        self.sigma_xy = sigma_xy
        self.scale = scale
        self.ignore_index = ignore_index

    def forward(
        self, logits: Tensor, images: Tensor, labels: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        """Return the weighted loss, a scalar, at most 0.

        Shapes:
            logits: ``(N, C, h, w)`` float.
            images: ``(N, 3, H, W)`` RGB in [0, 255], not normalised.
            labels: ``(N, H, W)`` integer pseudo mask; only where it is ``ignore_index`` counts.
            valid: ``(N, 1, H, W)`` float, 0 or 1, where there is image and not padding.
        """
        height, width = images.shape[2:]
        size = [max(1, int(length * self.scale)) for length in (height, width)]
        probs = logits.float().softmax(dim=1)
        probs = F.interpolate(probs, size, mode='bilinear', align_corners=False)
        images = F.interpolate(images.float(), size)
        unlabelled = F.interpolate((labels[:, None] == self.ignore_index).float(), size)
        gate = torch.maximum(unlabelled, 1 - probs.detach().amax(dim=1, keepdim=True))
        loss = dense_energy_loss(
            images,
            probs,
            gate,
            None if valid is None else F.interpolate(valid.float(), size),
            sigma_rgb=self.sigma_rgb,
            sigma_xy=self.sigma_xy * self.scale,
        )
        weight = self.loss_weight
        if self.reference_size is not None:
            weight *= (self.reference_size**2 / (height * width)) ** 2
        return weight * loss
