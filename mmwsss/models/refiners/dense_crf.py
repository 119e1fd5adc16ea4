"""Dense CRF: aligns class probabilities with the edges of the image."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmwsss.ops import PermutohedralLattice, label_probs, mean_field, pixel_features
from mmwsss.ops.mean_field import MIN_PROB

Kernels: TypeAlias = list[tuple[PermutohedralLattice, float]]
GAUSSIAN = MappingProxyType(dict(sxy=3, weight=3))
BILATERAL = MappingProxyType(dict(sxy=80, srgb=13, weight=10))


def _check_term(name: str, term: Mapping | None, keys: set[str]) -> dict | None:
    """Check and copy the settings of a pairwise term."""
    if term is None:
        return None
    if set(term) != keys or not all(0 < value < math.inf for value in term.values()):
        raise ValueError(
            f'DenseCRF: {name} must be None or a dict of positive {", ".join(sorted(keys))}, '
            f'got {dict(term)}.'
        )
    return dict(term)


def _check_sizes(images: Tensor, probs: Tensor) -> None:
    """Check that the probabilities have the batch size and the size of the images."""
    if images.shape[:1] + images.shape[2:] != probs.shape[:1] + probs.shape[2:]:
        raise ValueError(
            'DenseCRF: images (N, 3, H, W) and probs (N, C, H, W) must have the same N, H and '
            f'W, got {tuple(images.shape)} and {tuple(probs.shape)}; resize the probs.'
        )


@MODELS.register_module()
class DenseCRF(nn.Module):
    """Fully connected conditional random field (CRF) on the pixels of an image.

    Each pixel is attracted to the class of nearby pixels (Gaussian term) and of nearby pixels of
    similar colour (bilateral term). With Potts compatibility, symmetrically normalised kernels
    and mean field inference, the results match the package ``pydensecrf``. Has no parameters and
    no gradient.

    Source: Kraehenbuehl and Koltun, NeurIPS 2011, https://arxiv.org/abs/1210.5644

    Args:
        num_iters: Number of mean field updates.
        gaussian: Position term: standard deviation ``sxy`` in pixels, and ``weight``. None
            disables it.
        bilateral: Position and colour term: standard deviations ``sxy`` in pixels and ``srgb`` in
            colour steps of [0, 255], and ``weight``. None disables it.
        backend: ``'torch'`` runs on the device of the images; ``'pydensecrf'`` runs that package
            on the CPU.

    Raises:
        ValueError: a setting is invalid, or both terms are None.
        ImportError: ``backend='pydensecrf'`` and the package is not installed.

    Example:
        >>> images = torch.zeros(1, 3, 4, 6, dtype=torch.uint8)
        >>> images[..., 3:] = 200
        >>> probs = torch.full((1, 2, 4, 6), .5)
        >>> probs[0, 0, 0, 0] = probs[0, 1, 0, 5] = .9
        >>> DenseCRF()(images, probs).argmax(dim=1)[0, 3]
        tensor([0, 0, 0, 1, 1, 1])
    """

    def __init__(
        self,
        num_iters: int = 10,
        *,
        gaussian: Mapping | None = GAUSSIAN,
        bilateral: Mapping | None = BILATERAL,
        backend: str = 'torch',
    ) -> None:
        super().__init__()
        if num_iters < 1:
            raise ValueError(f'DenseCRF: num_iters must be at least 1, got {num_iters}.')
        if gaussian is None and bilateral is None:
            raise ValueError('DenseCRF: gaussian and bilateral must not both be None.')
        if backend not in ('torch', 'pydensecrf'):
            raise ValueError(f"DenseCRF: backend must be 'torch' or 'pydensecrf', got {backend!r}.")
        if backend == 'pydensecrf' and importlib.util.find_spec('pydensecrf') is None:
            raise ImportError(
                "DenseCRF: backend='pydensecrf' needs that package; install it with `pip "
                "install pydensecrf2` or use backend='torch'."
            )
        self.num_iters = num_iters
        self.gaussian = _check_term('gaussian', gaussian, {'sxy', 'weight'})
        self.bilateral = _check_term('bilateral', bilateral, {'sxy', 'srgb', 'weight'})
        self.backend = backend

    def kernels(self, images: Tensor) -> Kernels | Tensor:
        """Precompute what depends on the images only, for any number of calls of :meth:`refine`.

        Shapes:
            images: ``(N, 3, H, W)`` uint8 RGB.
            returns: a filter and its weight for each term; the images themselves with
                ``'pydensecrf'``, which cannot be reused.

        Raises:
            ValueError: the images are not uint8 with three channels.
        """
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype != torch.uint8:
            raise ValueError(
                'DenseCRF: images must be (N, 3, H, W) in uint8, not normalised, got '
                f'{tuple(images.shape)} in {images.dtype}.'
            )
        if self.backend == 'pydensecrf':
            return images
        return [
            (
                PermutohedralLattice(
                    pixel_features(images, sigma_xy=term['sxy'], sigma_rgb=term.get('srgb')),
                    normalize=True,
                ),
                term['weight'],
            )
            for term in (self.gaussian, self.bilateral)
            if term
        ]

    def refine(self, kernels: Kernels | Tensor, probs: Tensor) -> Tensor:
        """Refine probabilities with the kernels of their images.

        Shapes:
            kernels: result of :meth:`kernels`.
            probs: ``(N, C, H, W)`` float, at the size of the images; clipped to [1e-5, 1], need
                not sum to 1.
            returns: ``(N, C, H, W)`` float32, sums to 1 over C.

        Raises:
            ValueError: batch size or image size do not match.
        """
        if isinstance(kernels, Tensor):
            _check_sizes(kernels, probs)
            return self._refine_by_package(kernels, probs)
        out = mean_field(probs.flatten(2), kernels, num_iters=self.num_iters)
        return out.unflatten(2, probs.shape[2:])

    def forward(self, images: Tensor, probs: Tensor) -> Tensor:
        """Refine the probabilities of a batch of images.

        Shapes:
            images: ``(N, 3, H, W)`` uint8 RGB.
            probs: ``(N, C, H, W)`` float, see :meth:`refine`.
            returns: ``(N, C, H, W)`` float32, sums to 1 over C.

        Raises:
            ValueError: batch size or image size do not match, or the images are not uint8.
        """
        _check_sizes(images, probs)
        return self.refine(self.kernels(images), probs)

    def from_labels(
        self, images: Tensor, labels: Tensor, num_labels: int, *, gt_prob: float = 0.7
    ) -> Tensor:
        """Refine label maps, converted to probabilities by :func:`mmwsss.ops.label_probs`.

        Args:
            num_labels: Number of labels C, at least 2.
            gt_prob: Confidence in the labels, above 1 / C.

        Shapes:
            images: ``(N, 3, H, W)`` uint8 RGB.
            labels: ``(N, H, W)`` integer; values outside 0 to C - 1 are ignored.
            returns: ``(N, C, H, W)`` float32, sums to 1 over C.
        """
        return self(images, label_probs(labels, num_labels, gt_prob=gt_prob))

    @torch.no_grad()
    def _refine_by_package(self, images: Tensor, probs: Tensor) -> Tensor:
        """Run :meth:`refine` with ``pydensecrf``, which handles one image at a time."""
        densecrf = importlib.import_module('pydensecrf.densecrf')
        size = probs.shape[2:]
        energies = probs.float().clamp(MIN_PROB, 1).log().neg().flatten(2).cpu()
        out = []
        for image, energy in zip(images.permute(0, 2, 3, 1).cpu(), energies, strict=True):
            crf = densecrf.DenseCRF2D(size[1], size[0], len(energy))
            crf.setUnaryEnergy(energy.contiguous().numpy())
            if self.gaussian:
                crf.addPairwiseGaussian(self.gaussian['sxy'], compat=self.gaussian['weight'])
            if self.bilateral:
                sxy, srgb, weight = (self.bilateral[key] for key in ('sxy', 'srgb', 'weight'))
                crf.addPairwiseBilateral(sxy, srgb, image.contiguous().numpy(), compat=weight)
            result = np.array(crf.inference(self.num_iters))  # returns a matrix type of its own
            out.append(torch.from_numpy(result).view(-1, *size))
        return torch.stack(out).to(probs.device)
