"""Mean field inference of a fully connected CRF."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .permutohedral import PermutohedralLattice

MIN_PROB = 1e-5
# torch's softmax over the last dimension is slow on CPUs below this number of columns
MANY_COLUMNS = 16


def _softmax(rows: Tensor) -> Tensor:
    """Return the softmax of each row."""
    if rows.shape[1] >= MANY_COLUMNS:
        return rows.softmax(dim=1)
    odds = (rows - rows.amax(dim=1, keepdim=True)).exp_()
    return odds.div_(odds.sum(dim=1, keepdim=True))


@torch.no_grad()
def mean_field(
    probs: Tensor, kernels: Sequence[tuple[PermutohedralLattice, float]], *, num_iters: int
) -> Tensor:
    r"""Run mean field inference of a fully connected CRF with Potts compatibility.

    All points are updated at once: :math:`Q \leftarrow softmax(\log p + \sum_m w_m K_m Q)`,
    starting from the softmax of :math:`\log p`. No gradient flows.

    Source: Kraehenbuehl and Koltun, NeurIPS 2011, Alg. 1, https://arxiv.org/abs/1210.5644

    Args:
        kernels: The filter :math:`K_m` and the weight :math:`w_m` of each pairwise term.
        num_iters: Number of updates.

    Shapes:
        probs: ``(N, C, P)`` float, clipped to [1e-5, 1]; they need not sum to 1.
        returns: ``(N, C, P)`` float32, sums to 1 over C.

    Raises:
        ValueError: N or P does not match the kernels.

    Example:
        >>> kernel = PermutohedralLattice(torch.zeros(1, 1, 3), normalize=True)
        >>> probs = torch.tensor([[[.9, .9, .4], [.1, .1, .6]]])
        >>> mean_field(probs, [(kernel, 3.)], num_iters=5)[0, 0].round(decimals=2)
        tensor([0.9900, 0.9900, 0.9200])
    """
    for kernel, _ in kernels:
        if probs.ndim != 3 or probs.shape[::2] != (kernel.batch, kernel.num_points):
            raise ValueError(
                f'mean_field: probs must be ({kernel.batch}, C, {kernel.num_points}) as the '
                f'kernels are, got {tuple(probs.shape)}.'
            )
    # points first, the memory layout of the filter: saves a transpose per iteration
    rows = probs.float().transpose(1, 2).flatten(0, 1).contiguous()
    start = rows.clamp(MIN_PROB, 1).log()
    rows = _softmax(start)
    for _ in range(num_iters):
        scores = start
        for kernel, weight in kernels:
            message = kernel.filter_rows(rows)
            scores = torch.add(scores, message, alpha=weight, out=message)
        rows = _softmax(scores)
    return rows.unflatten(0, (len(probs), -1)).transpose(1, 2)


def label_probs(labels: Tensor, num_labels: int, *, gt_prob: float = 0.7) -> Tensor:
    """Convert a label map to soft probabilities.

    Args:
        num_labels: Number of labels C, at least 2.
        gt_prob: Probability of the given label; the other labels share the rest.

    Shapes:
        labels: ``(N, H, W)`` integer; outside 0 to C - 1, e.g. 255, all labels get the same
            probability.
        returns: ``(N, C, H, W)`` float32; sums to 1 over C except at such pixels.

    Raises:
        ValueError: ``num_labels`` is below 2, or ``gt_prob`` not within (0, 1).

    Example:
        >>> label_probs(torch.tensor([[[0, 255]]]), 3)[0, :, 0].T.round(decimals=2)
        tensor([[0.7000, 0.1500, 0.1500],
                [0.1500, 0.1500, 0.1500]])
    """
    if num_labels < 2:
        raise ValueError(f'label_probs: num_labels must be at least 2, got {num_labels}.')
    if not 0 < gt_prob < 1:
        raise ValueError(f'label_probs: gt_prob must lie in (0, 1), got {gt_prob}.')
    given = labels[:, None] == torch.arange(num_labels, device=labels.device)[:, None, None]
    return torch.where(given, gt_prob, (1 - gt_prob) / (num_labels - 1))
