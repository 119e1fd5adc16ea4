"""Checks of predictions before metrics and writers use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mmwsss.utils import FileProblemError


class PredictionError(FileProblemError):
    """A prediction that is not valid; the message names the image."""


def check_finite(sample: Mapping[str, Any]) -> None:
    """Check that scores and maps are finite; with NaN, class 0 would win everywhere.

    Args:
        sample: Prediction as a dict; ``seg_logits`` and ``cams`` are checked if present. -inf is
            allowed and marks impossible classes.

    Raises:
        PredictionError: a value is NaN or infinite.
    """
    for field in ('seg_logits', 'cams'):
        if field not in sample:
            continue
        # a class that cannot be may be -inf; the largest value of NaN is NaN
        values = sample[field]['data'].float()
        if values.numel() and not bool(torch.isfinite(values.amax())):
            raise PredictionError(
                f'image {sample.get("img_path", "(no path)")}: the model predicts NaN or infinity '
                f'({field}): look for such values in its weights, or leave out mixed precision '
                '(--amp).'
            )


def check_ignored(metric: object, ignore_index: int, num_classes: int) -> None:
    """Check that the ignored value is not one of the classes.

    Args:
        metric: The metric, for the error.
        ignore_index: Value of the ground truth to ignore.
        num_classes: Number of classes including background.

    Raises:
        ValueError: ``ignore_index`` is a class.
    """
    if 0 <= ignore_index < num_classes:
        raise ValueError(
            f'{type(metric).__name__}: ignore_index={ignore_index} is one of the {num_classes} '
            'classes of the data set, whose pixels would all be left out: set a value that is none.'
        )
