"""Valid boxes: the image area of each crop of a batch, without padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Boxes = Sequence[Sequence[int]]


def valid_mask(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a mask of the inside of each box.

    Shapes:
        boxes: ``(N, 4)`` integers (top, left, bottom, right), bottom and right exclusive.
        returns: ``(N, 1, H, W)`` bool for ``size = (H, W)``.

    Example:
        >>> valid_mask(torch.tensor([[0, 1, 1, 2]]), (1, 3)).flatten().tolist()
        [False, True, False]
    """
    top, left, bottom, right = boxes.T[:, :, None]
    rows = torch.arange(size[0], device=boxes.device)
    columns = torch.arange(size[1], device=boxes.device)
    inside_rows = (rows >= top) & (rows < bottom)
    inside_columns = (columns >= left) & (columns < right)
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]


def patches_inside(valid: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the patches of which at least half is image.

    Args:
        grid: Rows and columns of patches.

    Shapes:
        valid: ``(N, 1, H, W)``, 0 or 1.
        returns: ``(N, 1, h, w)`` bool.

    Example:
        >>> patches_inside(torch.tensor([1, 0, 0, 1, 1, 0]).view(1, 1, 1, 6), (1, 2)).flatten()
        tensor([False,  True])
    """
    return F.adaptive_avg_pool2d(valid.float(), grid) >= 0.5


def _resize_rows(maps: Tensor, source: Tensor, target: Tensor, size: int, aligned: bool) -> Tensor:
    """Resize the rows ``source`` to the rows ``target`` of a plane with ``size`` rows.

    Both are ``(N, 2)`` on the CPU, (first, last + 1). Whole rows are gathered and interpolated,
    so equal rows give exactly the same row.
    """
    num, channels, height, width = maps.shape
    start, length = source[:, :1], source[:, 1:] - source[:, :1]
    new = target[:, 1:] - target[:, :1]
    place = (torch.arange(size) - target[:, :1]).clamp(min=0).minimum(new - 1).double()
    if aligned:
        place = place * (length - 1) / (new - 1).clamp(min=1)
    else:
        place = (place + 0.5) * length / new - 0.5
    place = place.clamp(min=0)
    low = place.long()
    share = (place - low).to(maps.dtype).to(maps.device, non_blocking=True)
    first = torch.arange(num * channels).view(num, channels, 1) * height
    lines = maps.reshape(-1, width)
    # a blocking copy would synchronise with the device
    low, high = (
        lines.index_select(0, rows.flatten().to(maps.device, non_blocking=True))
        for rows in (first + (start + x)[:, None] for x in (low, (low + 1).minimum(length - 1)))
    )
    shape = num, channels, size, width
    return low.view(shape).lerp_(high.view(shape), share[:, None, :, None])


def resize_boxes(
    maps: Tensor,
    sources: Boxes,
    targets: Boxes,
    size: tuple[int, int],
    *,
    align_corners: bool = False,
) -> Tensor:
    """Resize a box of each image bilinearly into a box of a new plane, all images at once.

    Gives the same result as cropping and resizing each image: nothing outside ``sources`` is
    read. Outside ``targets`` the border is repeated.

    Args:
        sources: Boxes (top, left, bottom, right) to resize, integers on the CPU, bottom and right
            exclusive.
        targets: Boxes that they are resized to.
        size: Height and width of the new plane.
        align_corners: As in :func:`torch.nn.functional.interpolate`.

    Shapes:
        maps: ``(N, C, h, w)`` float.
        returns: ``(N, C, *size)``.

    Raises:
        ValueError: the number of boxes is not N, or a box is empty or outside its plane.

    Example:
        >>> maps = torch.tensor([9., 1., 3., 9.]).view(1, 1, 1, 4)
        >>> resize_boxes(maps, [(0, 1, 1, 3)], [(0, 0, 1, 4)], (1, 5)).flatten()
        tensor([1.0000, 1.5000, 2.5000, 3.0000, 3.0000])
    """
    for boxes, plane in ((sources, maps.shape[2:]), (targets, size)):
        inside = all(0 <= t < b <= plane[0] and 0 <= x < r <= plane[1] for t, x, b, r in boxes)
        if len(boxes) != len(maps) or not inside:
            raise ValueError(
                f'resize_boxes: needs {len(maps)} non-empty boxes (top, left, bottom, right) '
                f'inside {tuple(plane)}, got {[tuple(box) for box in boxes]}.'
            )
    source, target = torch.tensor(sources), torch.tensor(targets)
    # columns are resized as the rows of the transposed maps
    for axis in (1, 0):
        ends = [axis, axis + 2]
        maps = _resize_rows(
            maps.transpose(2, 3), source[:, ends], target[:, ends], size[axis], align_corners
        )
    return maps
