"""Photographs segmented by a classifier of ImageNet, without any training."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from mmwsss.datasets.imagenet_classes import imagenet_indices
from mmwsss.errors import UsageError

from .wsss_inferencer import WSSSInferencer

MODEL, WEIGHTS = 'cam_effnet-lite0_imagenet', 'mmwsss://efficientnet-lite0-classifier'
CLASSIFIER = 'cam_head.conv_cam.weight'


class ImageNetInferencer(WSSSInferencer):
    """Segment photographs by a classifier of ImageNet, without any training.

    Of its 1,000 classes it keeps those that are named: in masks, 0 is the background, 1 the first
    of them, 2 the second. It needs tags: which classes a picture shows.

    Args:
        classes: Names of the classes, see :func:`~mmwsss.datasets.imagenet_classes.imagenet_index`.
        model: Config, its path or name; a ``WeakSegmentor`` with 1,001 classes.
        weights: Its checkpoint.
        cfg_options: Overrides of the config by dotted key.
        **options: Further arguments of :class:`WSSSInferencer`.

    Raises:
        UsageError: no class is named; and others, see :class:`WSSSInferencer`.
        LabelFileError: a class is unknown, ambiguous or named twice.
        CheckpointError: the weights are not here and cannot be had.
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        model: str | os.PathLike[str] | Config | dict = MODEL,
        weights: str | os.PathLike[str] = WEIGHTS,
        cfg_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if isinstance(classes, str) or not classes:
            raise UsageError(f"Name the classes of ImageNet, such as ['tabby'], got {classes!r}.")
        self.kept = imagenet_indices(classes)
        number = {'model.cam_head.num_classes': 1 + len(self.kept)}
        super().__init__(
            model,
            weights,
            classes=('background', *classes),
            cfg_options={**(cfg_options or {}), **number},
            **options,
        )

    def _load_weights_to_model(self, model: Any, checkpoint: Any, cfg: Any) -> None:
        """Load the weights, of the classifier those of the chosen classes."""
        state = checkpoint.get('state_dict', checkpoint)
        if CLASSIFIER in state:
            state = {**state, CLASSIFIER: state[CLASSIFIER][self.kept]}
        super()._load_weights_to_model(model, dict(state_dict=state), cfg)
