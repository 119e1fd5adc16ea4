"""Class activation maps by the gradient of a score, for any pooling."""

from __future__ import annotations

import torch
from torch import Tensor


def _weights(grad: Tensor, features: Tensor, *, plus: bool) -> Tensor:
    """Return the weight of each channel, ``(N, C)``."""
    if not plus:
        return grad.sum(dim=(2, 3))
    square = grad.square()
    total = features.sum(dim=(2, 3), keepdim=True)
    bottom = 2 * square + total * square * grad
    share = torch.where(bottom != 0, square / bottom, 0)
    return (share * grad.relu()).sum(dim=(2, 3))


def grad_cam(scores: Tensor, features: Tensor, *, plus: bool = False) -> Tensor:
    """Weigh features by the gradient of each score and add them up: Grad-CAM, Grad-CAM++.

    Of the weights, factors that are the same for a whole map are left out: 1 over the number of
    positions, so that maps of several scales may be added, and with ``plus`` the exponential of
    the score. So with average pooling Grad-CAM is the rectified class activation map.

    Source: Selvaraju et al., ICCV 2017, https://arxiv.org/abs/1610.02391, and Chattopadhay et
    al., WACV 2018, https://arxiv.org/abs/1710.11063

    Args:
        plus: Grad-CAM++.

    Shapes:
        scores: ``(N, K)`` float, on the graph of the features, each of its own image's alone.
        features: ``(N, C, h, w)`` float that require a gradient.
        returns: ``(N, K, h, w)`` float, not negative, without gradient.

    Raises:
        RuntimeError: the scores do not depend on the features.

    Example:
        >>> features = torch.tensor([1., 3.]).view(1, 1, 1, 2).requires_grad_()
        >>> scores = 2 * features.mean(dim=(2, 3))
        >>> grad_cam(scores, features).flatten()
        tensor([2., 6.])
    """
    values = features.detach()
    maps = []
    for score in scores.unbind(dim=1):
        (grad,) = torch.autograd.grad(score.sum(), features, retain_graph=True)
        weights = _weights(grad, values, plus=plus)
        maps.append(torch.einsum('nc,nchw->nhw', weights, values).relu())
    return torch.stack(maps, dim=1)
