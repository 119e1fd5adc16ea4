"""Losses of ToCo: contrast of patch tokens and of class tokens."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .affinity_matrix_loss import affinity_matrix_loss
from .weighted_loss import WeightedLoss

EPS = 1e-4  # added to sums of exponentials and numbers of views


def patch_token_contrast_loss(feats: Tensor, labels: Tensor) -> Tensor:
    r"""Pull patch tokens of the same label together and make those of different labels orthogonal.

    With the sums S of absolute cosines and the numbers n of pairs with equal (1) and different (0)
    labels in the batch, the loss is
    :math:`(1 - S_1 / (n_1 + 1)) / 2 + S_0 / (n_0 + 1) / 2`. This is
    :func:`.affinity_matrix_loss` of the cosines plus the constant :math:`0.5 / (n_1 + 1)`.

    Source: Ru et al., CVPR 2023, https://arxiv.org/abs/2303.01267, and its published
    code.

    Args:
        labels: Result of :func:`mmwsss.ops.pair_label_matrix`; pairs other than 1 and 0 are
            ignored.

    Shapes:
        feats: ``(N, C, h, w)`` float.
        labels: ``(N, h * w, h * w)`` integers.
        returns: scalar in [0, 1]; 0.5 if all pairs are ignored.

    Example:
        >>> feats = torch.tensor([[1., 0.], [-2., 0.], [3., 3.]]).T.view(1, 2, 1, 3)
        >>> labels = torch.tensor([[[255, 1, 0], [1, 255, 0], [0, 0, 255]]])
        >>> patch_token_contrast_loss(feats, labels)  # (1 - 2 / 3) / 2 + 4 * 0.7071 / 5 / 2
        tensor(0.4495)
    """
    # autocast would multiply in half precision again
    with torch.autocast(feats.device.type, enabled=False):
        feats = feats.to(torch.promote_types(feats.dtype, torch.float32)).flatten(2)
        units = F.normalize(feats, dim=1, eps=1e-8)
        cosines = (units.transpose(1, 2) @ units).abs()
    return affinity_matrix_loss(cosines, labels) + 0.5 / ((labels == 1).sum() + 1)


def class_token_contrast_loss(
    student: Tensor, teacher: Tensor, positive: Tensor, *, temperature: float = 0.5
) -> Tensor:
    r"""Pull views that show the classes of an image together and push its other crops away.

    With the products :math:`l_{vj} = t_v \cdot s_j / \tau` of teacher's and student's outputs, N_v
    the sum of :math:`\exp(l_{vj})` over the negative views j and P the number of positive ones,
    an image costs

    .. math:: \sum_v \Big[ \sum_{j\,positive} \log (e^{l_{vj}} + N_v + 10^{-4}) - l_{vj}
              + \log (1 + N_v + 10^{-4}) \Big] / V / (P + 10^{-4}) .

    All exponentials stay inside logarithms, so no product is too large.

    Source: Ru et al., CVPR 2023, https://arxiv.org/abs/2303.01267, and its published
    code, which adds the second logarithm.

    Args:
        temperature: Divisor of the products, tau.

    Shapes:
        student: ``(M, N, D)`` float, outputs of all M views.
        teacher: ``(V, N, D)`` float, outputs of the global views; gets no gradient.
        positive: ``(N, M)`` bool, which views of an image show its classes.
        returns: scalar, the mean over images, at least 0.

    Example:
        >>> student = torch.tensor([1., 0.]).view(2, 1, 1)
        >>> views = torch.tensor([[True, False]])
        >>> # log(e + 1) - 1 + log(1 + 1)
        >>> class_token_contrast_loss(student, torch.ones(1, 1, 1), views, temperature=1.0)
        tensor(1.0064)
    """
    dtype = torch.promote_types(student.dtype, torch.float32)
    with torch.autocast(student.device.type, enabled=False):
        products = torch.einsum('vnd,mnd->nvm', teacher.detach().to(dtype), student.to(dtype))
    products = products / temperature
    positive = positive.bool()[:, None]  # (N, 1, M)
    negative = products.masked_fill(positive, -torch.inf)
    # the constant keeps the sum positive without negative views
    negative = F.pad(negative, (0, 1), value=math.log(EPS)).logsumexp(dim=2, keepdim=True)
    terms = torch.where(positive, torch.logaddexp(products, negative) - products, 0).sum(dim=2)
    terms = (terms + F.softplus(negative[..., 0])).mean(dim=1)
    return (terms / (positive.sum(dim=(1, 2)) + EPS)).mean()


@MODELS.register_module()
class PatchTokenContrastLoss(WeightedLoss):
    """Registered :func:`patch_token_contrast_loss`; ToCo uses ``loss_weight=0.2``.

    Example:
        >>> feats = torch.eye(2).view(1, 2, 1, 2)
        >>> PatchTokenContrastLoss(0.2)(feats, torch.zeros(1, 2, 2))  # 0.2 * (2 / 5 + 1) / 2
        tensor(0.1400)
    """

    function = staticmethod(patch_token_contrast_loss)


@MODELS.register_module()
class ClassTokenContrastLoss(WeightedLoss):
    """Registered :func:`class_token_contrast_loss`; ToCo uses ``loss_weight=0.5``.

    Args:
        temperature: Divisor of the products; published: 0.5 on VOC, 1 on COCO.

    Raises:
        ValueError: ``temperature`` is not positive.

    Example:
        >>> student, views = torch.tensor([1., 0.]).view(2, 1, 1), torch.tensor([[True, False]])
        >>> ClassTokenContrastLoss(0.5, temperature=1.0)(student, torch.ones(1, 1, 1), views)
        tensor(0.5032)
    """

    function = staticmethod(class_token_contrast_loss)

    def __init__(self, loss_weight: float = 1.0, *, temperature: float = 0.5) -> None:
        if not temperature > 0:
            raise ValueError(
                f'ClassTokenContrastLoss: temperature must be positive, got {temperature}.'
            )
        super().__init__(loss_weight, temperature=temperature)
