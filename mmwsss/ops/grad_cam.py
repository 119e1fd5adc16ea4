"""Grad-CAM and Grad-CAM++: class activation maps for heads with any pooling."""

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
    """Return the sum of the features weighted by the gradient of each score.

    Factors that are constant over a map are omitted: 1 / (number of positions), so that maps of
    several scales can be added, and for Grad-CAM++ the exponential of the score. With average
    pooling, Grad-CAM equals the class activation map after a ReLU.

    Source: Selvaraju et al., ICCV 2017, https://arxiv.org/abs/1610.02391, and Chattopadhay et
    al., WACV 2018, https://arxiv.org/abs/1710.11063

    Args:
        plus: Use Grad-CAM++.

    Shapes:
        scores: ``(N, K)`` float, computed from the features, each from its own image only.
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
