"""Dense energy loss: the energy of a fully connected CRF as a regulariser of segmentation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from mmwsss.ops import PermutohedralLattice, pixel_features

from .weighted_loss import WeightedLoss


def dense_energy_loss(
    images: Tensor,
    probs: Tensor,
    gate: Tensor | None = None,
    valid: Tensor | None = None,
    *,
    sigma_rgb: float = 15.0,
    sigma_xy: float = 100.0,
) -> Tensor:
    r"""Encourage nearby pixels of similar colour to have the same class.

    The loss is :math:`-\frac{1}{N} \sum_n \sum_k S_k^\top W S_k` with :math:`S_k` the
    probabilities of class k at the valid pixels and W the bilateral Gaussian kernel,
    approximated by the permutohedral lattice. If the probabilities of each pixel sum to 1, the
    gradient of the logits equals that of the relaxed Potts energy
    :math:`\sum_k S_k^\top W (1 - S_k)`.

    The gate scales the gradient of each pixel, not the value: a pixel with gate 0 does not
    change but still attracts others to its class.

    Source: Tang et al., ECCV 2018, https://arxiv.org/abs/1803.09569

    Args:
        sigma_rgb: Standard deviation of colours, in the unit of the images.
        sigma_xy: Standard deviation of positions, in pixels.

    Shapes:
        images: ``(N, 3, H, W)``, commonly RGB in [0, 255].
        probs: ``(N, C, H, W)`` float.
        gate: ``(N, 1, H, W)`` float in [0, 1]; 1 by default.
        valid: ``(N, 1, H, W)`` float, 1 for image, 0 for padding; 1 by default.
        returns: scalar, at most 0.

    Example:
        >>> dense_energy_loss(torch.zeros(1, 3, 1, 2), torch.ones(1, 1, 1, 2)).round()
        tensor(-4.)
    """
    if valid is not None:
        probs = probs * valid
        # padding has lattice points as well, so its colours must not influence them
        images = images * valid
    if gate is not None:
        probs = probs * gate + (probs * (1 - gate)).detach()
    features = pixel_features(images, sigma_xy=sigma_xy, sigma_rgb=sigma_rgb)
    flat = probs.flatten(2)
    return -(flat * PermutohedralLattice(features).filter(flat)).sum() / len(flat)


@MODELS.register_module()
class DenseEnergyLoss(WeightedLoss):
    """:func:`dense_energy_loss` of a segmentation network, at reduced size, gated by confidence.

    The gate of a labelled pixel is 1 minus its largest probability, that of an unlabelled pixel
    1. As in the published code, probabilities are resized bilinearly and everything else to the
    nearest pixel, and ``sigma_xy`` is scaled with the image.

    The defaults are those of AFA, which uses ``loss_weight=1e-9`` in total (0.01 times 1e-7), its
    pseudo mask as ``labels`` and :func:`mmwsss.ops.valid_mask` of the valid boxes as ``valid``.

    Source: Ru et al., CVPR 2022, Sec. 3.5, https://arxiv.org/abs/2203.02664, and Tang et al.,
    ECCV 2018, https://arxiv.org/abs/1803.09569

    Args:
        loss_weight: Factor on the loss at the reference size.
        sigma_rgb: Standard deviation of colours in [0, 255].
        sigma_xy: Standard deviation of positions, in pixels of the full size.
        scale: Size at which the loss is computed, relative to the images.
        ignore_index: Label of unlabelled pixels.
        reference_size: Side S of the square image at which the loss equals the published sum over
            all pairs of pixels. At H x W the sum is multiplied by (S^2 / (H W))^2, the ratio of
            the numbers of pairs, so the weight relative to per-pixel means does not depend on the
            crop size. None keeps the plain sum.

    Raises:
        ValueError: a deviation, the scale or the reference size is not positive.

    Example:
        >>> logits, labels = torch.zeros(1, 1, 2, 4), torch.zeros(1, 2, 4)
        >>> loss = DenseEnergyLoss(1.0, reference_size=None)
        >>> loss(logits, torch.zeros(1, 3, 2, 4), labels).round()  # 1 x 2 pixels at half size
        tensor(-4.)
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
        super().__init__(loss_weight)
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
            labels: ``(N, H, W)`` integer pseudo mask, compared with ``ignore_index`` only.
            valid: ``(N, 1, H, W)`` float, 1 for image, 0 for padding.
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
