"""Mean field inference of a fully connected CRF."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .permutohedral import PermutohedralLattice

MIN_PROB = 1e-5
# torch's softmax over the last dimension is slow on a CPU for fewer columns than this
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
    r"""Pull the probabilities of points to those of similar points; no gradient passes.

    The mean field of a fully connected CRF with Potts compatibility, all points at once:
    :math:`Q \leftarrow softmax(\log p + \sum_m w_m K_m Q)`, beginning with the softmax of
    :math:`\log p`.

    Source: Kraehenbuehl and Koltun, NeurIPS 2011, Alg. 1, https://arxiv.org/abs/1210.5644

    Args:
        kernels: The filter :math:`K_m` and the weight :math:`w_m` of each pairwise term.
        num_iters: Number of updates.

    Shapes:
        probs: ``(N, C, P)`` float, clipped to [1e-5, 1]; they need not sum to 1.
        returns: ``(N, C, P)`` float32, sums to 1 over C.

    Raises:
        ValueError: N or P are not those of a kernel.

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
    # point after point, as the filter has it in memory: the loop transposes nothing
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
    """Turn a label map into probabilities that leave something to the other labels.

    Args:
        num_labels: Number of labels C, at least 2.
        gt_prob: Probability of the given label; the others share the rest.

    Shapes:
        labels: ``(N, H, W)`` integer; where it is not one of 0 to C - 1, such as 255, all
            labels are equally probable.
        returns: ``(N, C, H, W)`` float32; such pixels do not sum to 1.

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
