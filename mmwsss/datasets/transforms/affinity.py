"""Transforms that load affinity labels and reduce them to the grid of features."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from mmwsss.ops.affinity_labels import IGNORE_INDEX, fuse_affinity_scores
from mmwsss.utils import check_number

from ..affinity_files import LEVELS, SUFFIXES, AffinityFileError, read_affinity_scores
from ..image_names import image_id
from ..masks import check_num_classes, read_mask


def _label_path(results: dict[str, Any], label_dir: str, style: str) -> str:
    """Return the path of the affinity label of an image.

    Raises:
        FileNotFoundError: it does not exist.
    """
    path = os.path.join(label_dir, image_id(results['img_path']) + SUFFIXES[style])
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'affinity label {path} of image {results["img_path"]} does not exist: make it with '
            f'tools/make_affinity_labels.py --style {style}, or correct label_dir.'
        )
    return path


def _check_size(shape: tuple[int, ...], path: str, results: dict[str, Any]) -> None:
    """Check that the label has the size of the image."""
    image = results['img'].shape[:2]
    if shape != image:
        raise AffinityFileError(
            f'affinity label {path} is {shape[1]} x {shape[0]} but its image '
            f'{results["img_path"]} is {image[1]} x {image[0]}: load it before resizing the image, '
            'or create the labels of this data set.'
        )


@TRANSFORMS.register_module()
class LoadAffinityLabel(BaseTransform):
    """Load the affinity label map of an image for the training of IRN.

    Adds ``gt_seg_map``, which is resized, cropped and flipped with the image, and appends its
    name to ``seg_fields``.

    Args:
        label_dir: Output folder of ``tools/make_affinity_labels.py --style irn``.

    Raises:
        FileNotFoundError: the label does not exist.
        MaskError: it is truncated, not an index image, or has values that are no class.
        AffinityFileError: its size differs from that of the image.
    """

    def __init__(self, label_dir: str) -> None:
        self.label_dir = label_dir

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the label of ``img_path``; requires ``img``."""
        path = _label_path(results, self.label_dir, 'irn')
        label, _ = read_mask(path, results.get('num_classes'))
        _check_size(label.shape, path, results)
        results['gt_seg_map'] = label
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(label_dir={self.label_dir!r})'


@TRANSFORMS.register_module()
class LoadAffinityScores(BaseTransform):
    """Load the affinity scores of an image for the training of AffinityNet.

    Adds ``gt_affinity_scores`` (H, W, 2n + 2) uint8, the scores with the low, then with the high
    exponent, and ``affinity_keys``, the n classes. The scores are cropped with the image, then
    converted to labels by ``FuseAffinityScores``.

    Args:
        label_dir: Output folder of ``tools/make_affinity_labels.py --style psa``.

    Raises:
        FileNotFoundError: the file does not exist.
        AffinityFileError: it is damaged, belongs to another data set, or its size differs from
            that of the image.
    """

    def __init__(self, label_dir: str) -> None:
        self.label_dir = label_dir

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the scores of ``img_path``; requires ``img``."""
        path = _label_path(results, self.label_dir, 'psa')
        keys, low, high = read_affinity_scores(path, results.get('num_classes'))
        _check_size(low.shape[1:], path, results)
        results['affinity_keys'] = keys
        results['gt_affinity_scores'] = np.concatenate([low, high]).transpose(1, 2, 0)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(label_dir={self.label_dir!r})'


@TRANSFORMS.register_module()
class FuseAffinityScores(BaseTransform):
    """Convert affinity scores to labels on the grid of features: ``gt_seg_map``.

    Place it after cropping, because cells start at the corner of the crop, and before flipping,
    which handles labels but not scores. See :func:`mmwsss.ops.fuse_affinity_scores`.

    Args:
        stride: Width of a cell in pixels.

    Raises:
        ValueError: ``stride`` is below 1, a side of the crop is not a multiple of it, or the image
            was resized or flipped after loading the scores.
    """

    def __init__(self, stride: int = 8) -> None:
        check_number(f'{type(self).__name__}: stride', stride, 1)
        self.stride = stride

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Fuse the scores; requires ``img``, ``gt_affinity_scores`` and ``affinity_keys``."""
        scores = results.pop('gt_affinity_scores')
        if scores.shape[:2] != results['img'].shape[:2] or results.get('flip'):
            raise ValueError(
                f'{type(self).__name__}: image {results.get("img_path")} was resized or flipped '
                'after loading its scores: only cropping is allowed between LoadAffinityScores '
                'and FuseAffinityScores.'
            )
        planes = torch.from_numpy(np.ascontiguousarray(scores.transpose(2, 0, 1)))
        low, high = (planes.float() / LEVELS).chunk(2)
        label = fuse_affinity_scores(low, high, self.stride).numpy()
        results['gt_seg_map'] = self._classes(results.pop('affinity_keys'))[label]
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    @staticmethod
    def _classes(keys: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the lookup table from score channels to class indices."""
        check_num_classes(int(keys.max(initial=0)) + 2, 'FuseAffinityScores')
        table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        table[0] = 0
        table[1 : len(keys) + 1] = keys + 1
        return table

    def __repr__(self) -> str:
        return f'{type(self).__name__}(stride={self.stride})'
