"""Losses of SEAM: equivariant regularisation, equivariant cross regularisation, min-pooling."""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


def equivariant_loss(cam: Tensor, other: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return the mean absolute difference of the normalised maps of both branches (ER).

    Source: Wang et al., CVPR 2020, Eq. 9, https://arxiv.org/abs/2004.04581

    Args:
        cam: Transformed maps of the image.
        other: Maps of the transformed image.
        valid: Pixels that the transformation filled from the image.

    Shapes:
        cam, other: ``(N, K, h, w)`` float in [0, 1].
        valid: ``(N, 1, h, w)`` float, 0 or 1.
        returns: scalar.

    Example:
        >>> import torch
        >>> equivariant_loss(torch.zeros(1, 1, 1, 2), torch.tensor([[[[1., 0.]]]])).item()
        0.5
    """
    difference = (cam - other).abs()
    if valid is None:
        return difference.mean()
    return (difference * valid).sum() / (valid.sum() * cam.shape[1]).clamp(min=1)


def equivariant_cross_loss(
    cam_rv: Tensor, target: Tensor, valid: Tensor | None = None, *, keep_ratio: float = 0.2
) -> Tensor:
    """Return the distance of refined maps to the other branch, hardest elements only (ECR).

    Source: Wang et al., CVPR 2020, Eq. 10 and Sec. 3.4, https://arxiv.org/abs/2004.04581

    Args:
        cam_rv: Refined, normalised, tagged maps.
        target: The other branch's maps after :func:`mmwsss.ops.keep_maximum`.
        valid: Pixels that the transformation filled from the image.
        keep_ratio: Fraction of the elements of an image to average, the largest ones.

    Shapes:
        cam_rv, target: ``(N, K + 1, h, w)`` float in [0, 1].
        valid: ``(N, 1, h, w)`` float, 0 or 1.
        returns: scalar.

    Example:
        >>> import torch
        >>> target = torch.tensor([.5, 0., 0., 0., 0.]).view(1, 5, 1, 1)
        >>> equivariant_cross_loss(torch.zeros(1, 5, 1, 1), target).item()
        0.5
    """
    difference = (target.detach() - cam_rv).abs()
    if valid is not None:
        difference = difference * valid
    difference = difference.flatten(1)
    kept = max(1, int(keep_ratio * difference.shape[1]))
    return difference.topk(kept, dim=1, sorted=False).values.mean()


def min_pooling_loss(cam_rv: Tensor, *, keep_ratio: float = 0.25) -> Tensor:
    """Push the weakest pixels of the refined maps to zero.

    Takes the largest foreground value of each pixel and averages the smallest ``keep_ratio`` of
    these values per image after a ReLU. The paper does not mention this loss. In the published
    code a comment says that it shifts the best background score but not the best mIoU.

    Args:
        cam_rv: Refined maps times the image labels, not normalised.
        keep_ratio: Fraction of the pixels of an image to average, the smallest ones.

    Shapes:
        cam_rv: ``(N, K, h, w)`` float, without background.
        returns: scalar.

    Example:
        >>> import torch
        >>> min_pooling_loss(torch.tensor([1., 2., 3., 4.]).view(1, 1, 2, 2)).item()
        1.0
    """
    best = cam_rv.amax(dim=1).flatten(1)
    kept = max(1, int(keep_ratio * best.shape[1]))
    return best.topk(kept, dim=1, largest=False, sorted=False).values.relu().mean()


def _share(name: str, keep_ratio: float) -> float:
    """Return a share of elements, which has to be one."""
    if not 0 < keep_ratio <= 1:
        raise ValueError(f'{name}: keep_ratio must lie in (0, 1], got {keep_ratio}.')
    return keep_ratio


@MODELS.register_module()
class EquivariantLoss(WeightedLoss):
    """Registered :func:`equivariant_loss`.

    Example:
        >>> import torch
        >>> EquivariantLoss(4.0)(torch.zeros(1, 1, 1, 2), torch.tensor([[[[1., 0.]]]])).item()
        2.0
    """

    function = staticmethod(equivariant_loss)


@MODELS.register_module()
class EquivariantCrossLoss(WeightedLoss):
    """Registered :func:`equivariant_cross_loss`.

    Raises:
        ValueError: ``keep_ratio`` is not in (0, 1].

    Example:
        >>> import torch
        >>> target = torch.tensor([.5, 0., 0., 0., 0.]).view(1, 5, 1, 1)
        >>> EquivariantCrossLoss(keep_ratio=0.4)(torch.zeros(1, 5, 1, 1), target).item()
        0.25
    """

    function = staticmethod(equivariant_cross_loss)

    def __init__(self, loss_weight: float = 1.0, *, keep_ratio: float = 0.2) -> None:
        super().__init__(loss_weight, keep_ratio=_share(type(self).__name__, keep_ratio))


@MODELS.register_module()
class MinPoolingLoss(WeightedLoss):
    """Registered :func:`min_pooling_loss`.

    Raises:
        ValueError: ``keep_ratio`` is not in (0, 1].

    Example:
        >>> import torch
        >>> loss = MinPoolingLoss(keep_ratio=0.5)
        >>> loss(torch.tensor([1., 2., 3., 4.]).view(1, 1, 2, 2)).item()
        1.5
    """

    function = staticmethod(min_pooling_loss)

    def __init__(self, loss_weight: float = 1.0, *, keep_ratio: float = 0.25) -> None:
        super().__init__(loss_weight, keep_ratio=_share(type(self).__name__, keep_ratio))
