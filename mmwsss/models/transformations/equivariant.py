"""Spatial transformations that class activation maps should be equivariant to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

VALID_TOLERANCE = 1e-3  # for rounding errors of bilinear weights


class Transformed(NamedTuple):
    """Result of a transformation.

    Attributes:
        images: The transformed images.
        warp: The same transformation for maps of the size of the images.
        valid: ``(N, 1, h, w)``, 1 for image, 0 for padding; None if there is no padding.
    """

    images: Tensor
    warp: Callable[[Tensor], Tensor]
    valid: Tensor | None


@MODELS.register_module()
class EquivariantRescale(nn.Module):
    """Resize to a fraction of the size, bilinear with aligned corners.

    Source: Wang et al., CVPR 2020, Table 3, https://arxiv.org/abs/2004.04581

    Args:
        scale: Factor of both sides; sizes are rounded down.

    Raises:
        ValueError: ``scale`` is not positive.
    """

    def __init__(self, scale: float = 0.3) -> None:
        super().__init__()
        if scale <= 0:
            raise ValueError(f'EquivariantRescale: scale must be positive, got {scale}.')
        self.scale = scale

    def forward(self, images: Tensor) -> Transformed:
        """Transform a batch ``(N, 3, H, W)``."""
        size = tuple(max(1, math.floor(side * self.scale)) for side in images.shape[2:])

        def warp(maps: Tensor) -> Tensor:
            return F.interpolate(maps, size, mode='bilinear', align_corners=True)

        return Transformed(warp(images), warp, None)


@MODELS.register_module()
class EquivariantFlip(nn.Module):
    """Flip horizontally.

    Source: Wang et al., CVPR 2020, Table 3, https://arxiv.org/abs/2004.04581
    """

    def forward(self, images: Tensor) -> Transformed:
        """Transform a batch ``(N, 3, H, W)``."""

        def warp(maps: Tensor) -> Tensor:
            return maps.flip(-1)

        return Transformed(warp(images), warp, None)


def _affine(images: Tensor, theta: Tensor) -> Transformed:
    """Sample a batch at an affine grid; samples from outside are invalid."""
    size = (images.shape[0], 1, *images.shape[2:])
    grid = F.affine_grid(theta.to(images), size, align_corners=False)

    def warp(maps: Tensor) -> Tensor:
        return F.grid_sample(maps, grid.to(maps.dtype), mode='bilinear', align_corners=False)

    inside = (grid.abs() <= 1).all(dim=-1)
    return Transformed(warp(images), warp, inside[:, None].to(images.dtype))


@MODELS.register_module()
class EquivariantRotate(nn.Module):
    """Rotate each image about its centre by a random angle.

    Source: Wang et al., CVPR 2020, Table 3, https://arxiv.org/abs/2004.04581

    Args:
        max_angle: Largest angle in degrees, to either side.
    """

    def __init__(self, max_angle: float = 20.0) -> None:
        super().__init__()
        self.max_angle = max_angle

    def forward(self, images: Tensor) -> Transformed:
        """Transform a batch ``(N, 3, H, W)``."""
        n, _, h, w = images.shape
        angle = torch.empty(n, device=images.device).uniform_(-self.max_angle, self.max_angle)
        angle = torch.deg2rad(angle)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # grid coordinates run from -1 to 1 on both axes, so the aspect ratio matters
        rows = [
            torch.stack([cos, -sin * (h / w), zero], dim=1),
            torch.stack([sin * (w / h), cos, zero], dim=1),
        ]
        return _affine(images, torch.stack(rows, dim=1))


@MODELS.register_module()
class EquivariantTranslate(nn.Module):
    """Shift each image by a random distance along both axes.

    Source: Wang et al., CVPR 2020, Table 3, https://arxiv.org/abs/2004.04581

    Args:
        max_shift: Largest shift in pixels, to either side; the paper uses 15 for crops of 448.

    Raises:
        ValueError: ``max_shift`` is negative.
    """

    def __init__(self, max_shift: float = 15.0) -> None:
        super().__init__()
        if max_shift < 0:
            raise ValueError(
                f'EquivariantTranslate: max_shift must not be negative, got {max_shift}.'
            )
        self.max_shift = max_shift

    def forward(self, images: Tensor) -> Transformed:
        """Transform a batch ``(N, 3, H, W)``."""
        theta = torch.eye(2, 3, device=images.device).repeat(images.shape[0], 1, 1)
        shift = torch.empty(images.shape[0], 2, device=images.device)
        shift.uniform_(-self.max_shift, self.max_shift)
        # the grid has side 2; the first coordinate is x
        for axis, side in enumerate((images.shape[3], images.shape[2])):
            theta[:, axis, 2] = 2 * shift[:, axis] / side
        return _affine(images, theta)


@MODELS.register_module()
class EquivariantCompose(nn.Module):
    """Apply several transformations in order.

    Shifts are in pixels of the input of their transformation, so rescale last.

    Source: Wang et al., CVPR 2020, Table 3, https://arxiv.org/abs/2004.04581

    Args:
        transformations: Configs of the transformations.

    Raises:
        ValueError: ``transformations`` is empty.
    """

    def __init__(self, transformations: Sequence[dict]) -> None:
        super().__init__()
        if not transformations:
            raise ValueError('EquivariantCompose: transformations must not be empty.')
        self.transformations = nn.ModuleList(MODELS.build(cfg) for cfg in transformations)

    def forward(self, images: Tensor) -> Transformed:
        """Transform a batch ``(N, 3, H, W)``."""
        steps: list[Callable[[Tensor], Tensor]] = []
        valid = None
        for transformation in self.transformations:
            images, warp, inside = transformation(images)
            if valid is not None:
                # pixels interpolated with padding are invalid
                warped = (warp(valid) > 1 - VALID_TOLERANCE).to(images.dtype)
                inside = warped if inside is None else inside * warped
            valid = inside
            steps.append(warp)

        def warp_all(maps: Tensor) -> Tensor:
            for step in steps:
                maps = step(maps)
            return maps

        return Transformed(images, warp_all, valid)
