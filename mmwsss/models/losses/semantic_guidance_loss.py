"""Losses by which a class-aware auto-encoder guides a segmentation network."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .weighted_loss import WeightedLoss


def masked_mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values, 0 where none is; nothing waits for their number.

    Shapes:
        values: any, float.
        chosen: broadcast to ``values``, 0 or 1.
        returns: scalar.

    Example:
        >>> masked_mean(torch.tensor([[1., 4.], [2., 9.]]), torch.tensor([[1, 0], [1, 0]])).item()
        1.5
    """
    chosen = chosen.to(values.dtype).expand_as(values)
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def image_mean(values: Tensor, chosen: Tensor, image: Tensor) -> Tensor:
    """Return the mean over images of the mean of the chosen values of each.

    An image of which nothing is chosen counts as 0; nothing waits for their number.

    Shapes:
        values: ``(M, C)`` float.
        chosen: ``(M, C)``, 0 or 1.
        image: ``(M,)`` int64, the image of each row; every image from 0 on has a row.
        returns: scalar.

    Example:
        >>> values, image = torch.tensor([[1.], [3.], [6.]]), torch.tensor([0, 0, 1])
        >>> image_mean(values, torch.ones(3, 1), image).item()  # of 2 and 6
        4.0
    """
    chosen = chosen.to(values.dtype)
    rows = torch.stack(
        [(values * chosen).sum(dim=1), chosen.sum(dim=1), chosen.new_ones(len(image))]
    )
    # as many images as rows at most
    total, number, occurs = torch.zeros_like(rows).index_add(1, image, rows)
    return (total / number.clamp(min=1)).sum() / (occurs > 0).sum().clamp(min=1)


def pull_push_losses(
    similarity: Tensor, pull: Tensor, push: Tensor, image: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the two parts of :func:`pull_push_loss`.

    Shapes:
        similarity: ``(M, C)`` float, cosines.
        pull, push: ``(M, C)``, 0 or 1.
        image: ``(M,)`` int64, see :func:`image_mean`; without it, the mean is that of all rows.
        returns: ``1 - mean`` over ``pull`` and ``1 + mean`` over ``push``, scalars; 0 for a set
            that is empty.
    """
    if image is None:
        return masked_mean(1 - similarity, pull), masked_mean(1 + similarity, push)
    return image_mean(1 - similarity, pull, image), image_mean(1 + similarity, push, image)


def pull_push_loss(
    similarity: Tensor, pull: Tensor, push: Tensor, image: Tensor | None = None
) -> Tensor:
    """Pull cosines of one set to 1 and push those of another to -1.

    With the similarities of image parts with the classes, one row a part, this is the
    class-foreground loss of SemFormer where a part shows what the map of a class holds: the class
    pulls and the others that are present push. Where a part shows what that map leaves, it is the
    class-background loss, and the sets change places.

    The published code takes the means over the batch and half of their sum; the paper those of
    each image, which ``image`` asks for, and their whole sum.

    Source: Chen et al., 2022, Eqs. 7 and 8, https://arxiv.org/abs/2210.14618, and its published
    code.

    Shapes:
        similarity: ``(M, C)`` float, cosines.
        pull, push: ``(M, C)``, 0 or 1.
        image: ``(M,)`` int64, see :func:`image_mean`.
        returns: scalar in [0, 2], with ``image`` in [0, 4]; an empty set gives 0.

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
    """Keep foreground small and background large.

    The mean of the foreground masks plus one minus the mean of the background mask, over all
    classes and pixels: what is padding, where masks are 0, counts as well.

    Source: Chen et al., 2022, Eq. 9, https://arxiv.org/abs/2210.14618, and its published code.

    Args:
        with_background: Keep the background small, too, as Eq. 9 has it: the mean of all masks.

    Shapes:
        masks: ``(N, K + 1, H, W)`` float in [0, 1], background first.
        returns: scalar in [0, 2], with the background in [0, 1].

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
    r"""Let each class and the strongest other class that is present add up to 1 at every pixel.

    The mean of :math:`(M_k + \max_{j \ne k} M_j - 1)^2` over images, present classes k and pixels
    of the image; j runs over the present classes as well. Images with one present class alone are
    left out.

    Source: Chen et al., 2022, Eqs. 10 and 11, https://arxiv.org/abs/2210.14618

    Shapes:
        masks: ``(N, C, H, W)`` float in [0, 1].
        labels: ``(N, C)``, 0 or 1.
        valid: ``(N, 1, H, W)``, 0 or 1: where there is image.
        returns: scalar in [0, 1]; 0 where no image has two present classes.

    Example:
        >>> masks = torch.tensor([0.5, 0.25, 0.75]).view(1, 3, 1, 1)
        >>> valid = torch.ones(1, 1, 1, 1)
        >>> activation_complementation_loss(masks, torch.tensor([[1, 1, 0]]), valid).item()
        0.0625
    """
    present = (labels > 0)[..., None, None]
    # masks are not negative: a 0 for an absent class never is the larger one
    best, place = torch.where(present, masks, 0).topk(2, dim=1)
    classes = torch.arange(masks.shape[1], device=masks.device).view(-1, 1, 1)
    other = torch.where(classes == place[:, :1], best[:, 1:], best[:, :1])
    competing = present & (present.sum(dim=1, keepdim=True) > 1)
    return masked_mean((masks + other - 1).square(), competing & valid.bool())


@MODELS.register_module()
class PullPushLoss(WeightedLoss):
    """Registered :func:`pull_push_loss`.

    Args:
        loss_weight: Factor on the loss.
        per_image: Means of each image, not halved, as the paper has them; of the batch, halved,
            as the published code has them, by default.
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

    Args:
        loss_weight: Factor on the loss.
        with_background: As in :func:`activation_suppression_loss`.
    """

    function = staticmethod(activation_suppression_loss)

    def __init__(self, loss_weight: float = 0.075, *, with_background: bool = False) -> None:
        super().__init__(loss_weight, with_background=with_background)


@MODELS.register_module()
class ActivationComplementationLoss(WeightedLoss):
    """Registered :func:`activation_complementation_loss`.

    Args:
        loss_weight: Factor on the loss.
    """

    function = staticmethod(activation_complementation_loss)
