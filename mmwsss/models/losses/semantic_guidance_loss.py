"""Losses with which a class-aware auto-encoder guides a segmentation network (SemFormer)."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


def masked_mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values without synchronising with the GPU.

    Shapes:
        values: any, float.
        chosen: broadcastable to ``values``, 0 or 1.
        returns: scalar; 0 if nothing is chosen.

    Example:
        >>> masked_mean(torch.tensor([[1., 4.], [2., 9.]]), torch.tensor([[1, 0], [1, 0]])).item()
        1.5
    """
    chosen = chosen.to(values.dtype).expand_as(values)
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def image_mean(values: Tensor, chosen: Tensor, image: Tensor) -> Tensor:
    """Average the chosen values of each image, then average over images.

    An image without chosen values counts as 0. Does not synchronise with the GPU.

    Shapes:
        values: ``(M, C)`` float.
        chosen: ``(M, C)``, 0 or 1.
        image: ``(M,)`` int64, index of the image of each row; every image has a row.
        returns: scalar.

    Example:
        >>> values, image = torch.tensor([[1.], [3.], [6.]]), torch.tensor([0, 0, 1])
        >>> image_mean(values, torch.ones(3, 1), image).item()  # (2 + 6) / 2
        4.0
    """
    chosen = chosen.to(values.dtype)
    rows = torch.stack(
        [(values * chosen).sum(dim=1), chosen.sum(dim=1), chosen.new_ones(len(image))]
    )
    # len(rows) bounds the number of images, which is unknown without a synchronisation
    total, number, occurs = torch.zeros_like(rows).index_add(1, image, rows)
    return (total / number.clamp(min=1)).sum() / (occurs > 0).sum().clamp(min=1)


def pull_push_losses(
    similarity: Tensor, pull: Tensor, push: Tensor, image: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the two parts of :func:`pull_push_loss`.

    Shapes:
        similarity: ``(M, C)`` float, cosines.
        pull, push: ``(M, C)``, 0 or 1.
        image: ``(M,)`` int64, see :func:`image_mean`; by default the mean is over all rows.
        returns: ``1 - mean`` over ``pull`` and ``1 + mean`` over ``push``, scalars; 0 for an
            empty set.

    Example:
        >>> one = torch.tensor([[1, 0]])
        >>> [x.item() for x in pull_push_losses(torch.tensor([[0.5, 0.25]]), one, 1 - one)]
        [0.5, 1.25]
    """
    if image is None:
        return masked_mean(1 - similarity, pull), masked_mean(1 + similarity, push)
    return image_mean(1 - similarity, pull, image), image_mean(1 + similarity, push, image)


def pull_push_loss(
    similarity: Tensor, pull: Tensor, push: Tensor, image: Tensor | None = None
) -> Tensor:
    """Pull the similarities of one set to 1 and push those of another to -1.

    In SemFormer each row holds the similarities of one image region with all classes. For the
    class-foreground loss the region is the foreground of a class: ``pull`` selects that class and
    ``push`` the other present classes. For the class-background loss the region is the rest of
    the image, and the two sets are swapped.

    Without ``image``, the loss is half the sum of the two means over the batch, as in the
    published code. With ``image``, the means are taken per image and not halved, as in the paper.

    Source: Chen et al., 2022, Eqs. 7 and 8, https://arxiv.org/abs/2210.14618, and its published
    code.

    Shapes:
        similarity: ``(M, C)`` float, cosines.
        pull, push: ``(M, C)``, 0 or 1.
        image: ``(M,)`` int64, see :func:`image_mean`.
        returns: scalar in [0, 2], with ``image`` in [0, 4]; an empty set contributes 0.

    Example:
        >>> similarity = torch.tensor([[0.5, 0.25]])
        >>> one = torch.tensor([[1, 0]])
        >>> pull_push_loss(similarity, one, 1 - one).item()  # (0.5 + 1.25) / 2
        0.875
        >>> pull_push_loss(similarity, one, 1 - one, torch.tensor([0])).item()
        1.75
    """
    total = sum(pull_push_losses(similarity, pull, push, image))
    return total / 2 if image is None else total


def activation_suppression_loss(masks: Tensor, *, with_background: bool = False) -> Tensor:
    """Keep the foreground small and the background large.

    The loss is the mean of the foreground masks plus 1 minus the mean of the background mask,
    over all pixels including padding, where masks are 0.

    Source: Chen et al., 2022, Eq. 9, https://arxiv.org/abs/2210.14618, and its published code.

    Args:
        with_background: Return the mean of all masks, background included, as in Eq. 9.

    Shapes:
        masks: ``(N, K + 1, H, W)`` float in [0, 1], background first.
        returns: scalar in [0, 2]; in [0, 1] with ``with_background``.

    Example:
        >>> masks = torch.tensor([0.5, 0.25, 0.75]).view(1, 3, 1, 1)
        >>> activation_suppression_loss(masks).item()
        1.0
        >>> activation_suppression_loss(masks, with_background=True).item()
        0.5
    """
    if with_background:
        return masks.mean()
    return masks[:, 1:].mean() + 1 - masks[:, 0].mean()


def activation_complementation_loss(masks: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    r"""Make each present class and its strongest competitor sum to 1 at every pixel.

    The loss is the mean of :math:`(M_k + \max_{j \ne k} M_j - 1)^2` over images, pixels and
    present classes k, with j over the present classes as well. Images with a single present class
    are skipped.

    Source: Chen et al., 2022, Eqs. 10 and 11, https://arxiv.org/abs/2210.14618

    Shapes:
        masks: ``(N, C, H, W)`` float in [0, 1].
        labels: ``(N, C)``, 0 or 1.
        valid: ``(N, 1, H, W)``, 1 for image, 0 for padding.
        returns: scalar in [0, 1]; 0 if no image has two present classes.

    Example:
        >>> masks = torch.tensor([0.5, 0.25, 0.75]).view(1, 3, 1, 1)
        >>> valid = torch.ones(1, 1, 1, 1)
        >>> activation_complementation_loss(masks, torch.tensor([[1, 1, 0]]), valid).item()
        0.0625
    """
    present = (labels > 0)[..., None, None]
    # masks are not negative, so the 0 of an absent class does not change the maxima
    best, place = torch.where(present, masks, 0).topk(2, dim=1)
    classes = torch.arange(masks.shape[1], device=masks.device).view(-1, 1, 1)
    other = torch.where(classes == place[:, :1], best[:, 1:], best[:, :1])
    competing = present & (present.sum(dim=1, keepdim=True) > 1)
    return masked_mean((masks + other - 1).square(), competing & valid.bool())


@MODELS.register_module()
class PullPushLoss(WeightedLoss):
    """Registered :func:`pull_push_loss`.

    Args:
        per_image: Use ``image``, as in the paper; by default ignore it, as in the published code.

    Example:
        >>> similarity, one = torch.tensor([[0.5, 0.25]]), torch.tensor([[1, 0]])
        >>> image = torch.tensor([0])
        >>> PullPushLoss(per_image=True)(similarity, one, 1 - one, image).item()
        1.75
    """

    def __init__(self, loss_weight: float = 1.0, *, per_image: bool = False) -> None:
        super().__init__(loss_weight)
        self.per_image = per_image

    def forward(self, similarity: Tensor, pull: Tensor, push: Tensor, image: Tensor) -> Tensor:
        """Return the weighted loss; shapes as in :func:`pull_push_loss`."""
        image = image if self.per_image else None
        return self.loss_weight * pull_push_loss(similarity, pull, push, image)


@MODELS.register_module()
class ActivationSuppressionLoss(WeightedLoss):
    """Registered :func:`activation_suppression_loss`.

    Example:
        >>> masks = torch.tensor([0.5, 0.25, 0.75]).view(1, 3, 1, 1)
        >>> ActivationSuppressionLoss(0.5)(masks).item()
        0.5
    """

    function = staticmethod(activation_suppression_loss)

    def __init__(self, loss_weight: float = 0.075, *, with_background: bool = False) -> None:
        super().__init__(loss_weight, with_background=with_background)


@MODELS.register_module()
class ActivationComplementationLoss(WeightedLoss):
    """Registered :func:`activation_complementation_loss`.

    Example:
        >>> masks, ones = torch.tensor([0.5, 0.25]).view(1, 2, 1, 1), torch.ones(1, 1, 1, 1)
        >>> ActivationComplementationLoss(2.0)(masks, torch.tensor([[1, 1]]), ones).item()
        0.125
    """

    function = staticmethod(activation_complementation_loss)
