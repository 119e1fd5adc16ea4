"""Product of maps with a normalised affinity matrix that is computed in blocks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPS = 1e-5


def _columns(num_pixels: int, batch: int, max_elements: int, most: int) -> int:
    """Return the number of columns of a block of the affinity: at least 1, at most ``most``."""
    return max(1, min(most, max_elements // max(1, num_pixels * batch)))


class _PixelCorrelation(torch.autograd.Function):
    """``maps @ A`` for ``A`` the column-normalised rectified Gram matrix of ``keys``.

    With ``a = relu(k^T k)`` and ``s_j`` the sum of column j plus 1e-5,
    ``out_j = maps @ a_j / s_j``. Both passes recompute ``a`` block by block instead of storing it.
    A row of ones appended to the maps gives the sums with the same product.
    """

    @staticmethod
    def forward(ctx, keys: Tensor, maps: Tensor, max_elements: int) -> Tensor:
        batch, _, num_pixels = keys.shape
        step = _columns(num_pixels, batch, max_elements, num_pixels)
        with_ones = torch.cat([maps, maps.new_ones(batch, 1, num_pixels)], dim=1)
        out = torch.empty_like(with_ones)
        rows = keys.transpose(1, 2)
        for start in range(0, num_pixels, step):
            block = torch.bmm(rows, keys[..., start : start + step]).clamp_(min=0)
            out[..., start : start + step] = torch.bmm(with_ones, block)
        sums = out[:, -1:] + EPS
        out = out[:, :-1] / sums
        ctx.save_for_backward(keys, maps, out, sums)
        ctx.max_elements = max_elements
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        keys, maps, out, sums = ctx.saved_tensors
        batch, _, num_pixels = keys.shape
        # a block of the affinity and a block of its gradient coexist: half the width each
        step = _columns(num_pixels, batch, ctx.max_elements // 2, (num_pixels + 1) // 2)
        grad = grad / sums
        # d out / d a = (maps - out_j) / s_j: the second term comes from the row of ones
        left = torch.cat([maps, maps.new_ones(batch, 1, num_pixels)], dim=1).transpose(1, 2)
        right = torch.cat([grad, -(grad * out).sum(1, keepdim=True)], dim=1)
        rows = keys.transpose(1, 2)
        grad_keys = torch.zeros_like(keys)
        grad_maps = torch.zeros_like(maps) if ctx.needs_input_grad[1] else None
        for start in range(0, num_pixels, step):
            at = slice(start, start + step)
            block = torch.bmm(rows, keys[..., at]).clamp_(min=0)
            if grad_maps is not None:
                grad_maps.baddbmm_(grad[..., at], block.transpose(1, 2))
            inner = torch.bmm(left, right[..., at]).mul_(block.sign_())
            grad_keys[..., at] += torch.bmm(keys, inner)
            grad_keys.baddbmm_(keys[..., at], inner.transpose(1, 2))
        return grad_keys, grad_maps, None


def pixel_correlation(keys: Tensor, maps: Tensor, *, max_elements: int = 2**27) -> Tensor:
    """Refine maps by the similarity of pixels: ``maps @ normalise(relu(keys^T keys))``.

    Each column of the rectified affinity is divided by (its sum + 1e-5). The affinity is computed
    in blocks of columns, in the forward and again in the backward pass, so at most one P x P
    matrix per image is in memory. The result does not depend on ``max_elements``.

    Source: Wang et al., CVPR 2020, Eqs. 5 and 6, https://arxiv.org/abs/2004.04581

    Args:
        max_elements: Maximum number of elements of the affinity in memory, over the batch;
            2**27 take 512 MiB in float32.

    Shapes:
        keys: ``(N, D, P)`` float, one unit vector per pixel.
        maps: ``(N, C, P)`` float.
        returns: ``(N, C, P)`` float.

    Raises:
        ValueError: N or P differ, or ``max_elements`` is not positive.

    Example:
        >>> keys = torch.eye(2)[None]
        >>> pixel_correlation(keys, torch.tensor([[[1., 3.]]])).round(decimals=2)
        tensor([[[1., 3.]]])
    """
    if keys.ndim != 3 or maps.ndim != 3 or keys.shape[::2] != maps.shape[::2]:
        raise ValueError(
            'pixel_correlation: keys must be (N, D, P) and maps (N, C, P) with the same N and '
            f'P, got {tuple(keys.shape)} and {tuple(maps.shape)}.'
        )
    if max_elements < 1:
        raise ValueError(f'pixel_correlation: max_elements must be positive, got {max_elements}.')
    return _PixelCorrelation.apply(keys, maps, max_elements)
