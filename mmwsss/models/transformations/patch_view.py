"""Second view of ViT-PCM: half the size, of the image or of a part, turned and mirrored."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from .equivariant import Transformed


def _coordinates(starts: Tensor, ends: Tensor, number: int, mirrored: Tensor) -> Tensor:
    """Return where a side is sampled, ``(N, number)``: both ends count (aligned corners)."""
    steps = torch.linspace(0, 1, number, device=starts.device)
    steps = torch.where(mirrored[:, None], 1 - steps, steps)
    return starts[:, None] + steps * (ends - starts)[:, None]


@MODELS.register_module()
class RandomPatchView(nn.Module):
    """Show a batch at half its size, some images cropped, all turned by quarters and mirrored.

    Maps on any grid go the same way: the cells of a crop are cut, then resized bilinearly with
    aligned corners. A crop lies on the grid of patches, at any place alike; the published code
    draws the last row and column nine times as often. Mirroring left and right, top and bottom,
    and transposing, each with probability 1/2, are the eight ways to lay a square.

    Source: Rossetti et al. (ViT-PCM), ECCV 2022, Sec. 5, https://arxiv.org/abs/2210.17400, and its
    published code: crops of 128 of 384 with probability 0.3 on VOC, none on COCO.

    Args:
        crop_size: Side of a crop in pixels.
        patch_size: Side of a patch in pixels.
        crop_prob: Probability of an image to be cropped.

    Raises:
        ValueError: ``crop_size`` is no multiple of the patch, or ``crop_prob`` no probability; in
            the training, images are not square, or no even number of patches, or smaller than a
            crop.
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
                f'{2 * self.patch_size} and at least {needed}, got {height} x {side}: resize or '
                'crop them so, or correct patch_size and crop_size.'
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
