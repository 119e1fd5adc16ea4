"""Second view of ViT-PCM: the image or a crop at half size, rotated and flipped."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from .equivariant import Transformed


def _coordinates(starts: Tensor, ends: Tensor, number: int, mirrored: Tensor) -> Tensor:
    """Return the sampling positions along a side, ``(N, number)``, both ends included."""
    steps = torch.linspace(0, 1, number, device=starts.device)
    steps = torch.where(mirrored[:, None], 1 - steps, steps)
    return starts[:, None] + steps * (ends - starts)[:, None]


@MODELS.register_module()
class RandomPatchView(nn.Module):
    """Resize images or crops of them to half the image size, with random rotations and flips.

    Maps on any grid are transformed in the same way: the cells of a crop are selected and resized
    bilinearly with aligned corners. Crops are aligned with the patches and uniformly distributed;
    the published code draws the last row and column nine times as often. Horizontal flip, vertical
    flip and transposition, each with probability 1/2, give the eight symmetries of a square.

    Source: Rossetti et al. (ViT-PCM), ECCV 2022, Sec. 5, https://arxiv.org/abs/2210.17400, and its
    published code: crops of 128 from 384 with probability 0.3 on VOC, no crops on COCO.

    Args:
        crop_size: Side of a crop in pixels.
        patch_size: Side of a patch in pixels.
        crop_prob: Probability of cropping an image.

    Raises:
        ValueError: ``crop_size`` is not a multiple of ``patch_size``, or ``crop_prob`` is not in
            [0, 1]; in training, images are not square, their side is not an even number of
            patches, or they are smaller than a crop.
    """

    def __init__(
        self, crop_size: int = 128, patch_size: int = 16, *, crop_prob: float = 0.3
    ) -> None:
        super().__init__()
        if patch_size < 1 or crop_size < patch_size or crop_size % patch_size:
            raise ValueError(
                f'RandomPatchView: crop_size={crop_size} must be a multiple of '
                f'patch_size={patch_size}.'
            )
        if not 0 <= crop_prob <= 1:
            raise ValueError(f'RandomPatchView: crop_prob must lie in 0 to 1, got {crop_prob}.')
        self.crop_size, self.patch_size, self.crop_prob = crop_size, patch_size, crop_prob

    def _check(self, images: Tensor) -> int:
        """Return the side of the images."""
        height, side = images.shape[2:]
        needed = self.crop_size if self.crop_prob else 1
        if height != side or side % (2 * self.patch_size) or side < needed:
            raise ValueError(
                'RandomPatchView: images must be square, with sides that are multiples of '
                f'{2 * self.patch_size} and at least {needed}, got {height} x {side}; resize or '
                'crop them, or change patch_size and crop_size.'
            )
        return side

    def forward(self, images: Tensor) -> Transformed:
        """Transform a batch ``(N, 3, S, S)`` to ``(N, 3, S / 2, S / 2)``."""
        side, num, device = self._check(images), len(images), images.device
        patch = self.patch_size
        left_right, up_down, transposed = torch.rand(3, num, device=device) < 0.5
        cropped = torch.rand(num, device=device) < self.crop_prob
        places = max(side - self.crop_size, 0) // patch + 1
        first = torch.randint(places, (2, num), device=device) * patch / side
        first = torch.where(cropped, first, 0.0)
        share = torch.where(cropped, self.crop_size / side, 1.0)

        def warp(maps: Tensor) -> Tensor:
            cells = maps.shape[2]
            starts = first * cells
            ends = starts + share * cells - 1
            mirrored = (up_down, left_right)
            y, x = (
                _coordinates(a, b, cells // 2, m)
                for a, b, m in zip(starts, ends, mirrored, strict=True)
            )
            grid = torch.stack(
                [x[:, None].expand(-1, cells // 2, -1), y[..., None].expand(-1, -1, cells // 2)],
                dim=3,
            )
            grid = torch.where(transposed[:, None, None, None], grid.transpose(1, 2), grid)
            grid = grid * (2 / max(cells - 1, 1)) - 1
            return F.grid_sample(
                maps, grid.to(maps.dtype), padding_mode='border', align_corners=True
            )

        return Transformed(warp(images), warp, None)
