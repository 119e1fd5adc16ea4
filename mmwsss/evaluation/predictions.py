"""What metrics and writers refuse before a prediction becomes a figure or a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mmwsss.utils import FileProblemError


class PredictionError(FileProblemError):
    """A prediction that must not become a mask; the text names the image."""


def check_finite(sample: Mapping[str, Any]) -> None:
    """Refuse scores or maps that hold NaN or infinity: the best of them is class 0 everywhere.

    Args:
        sample: Prediction in dict form; ``seg_logits`` and ``cams`` are looked at where it has
            them. -inf is a class that cannot be.

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
    """Refuse to ignore a value that is one of the classes.

    Args:
        metric: Whose setting it is, for the error.
        ignore_index: Value of the truth that is left out.
        num_classes: Classes with background.

    Raises:
        ValueError: it is a class.
    """
    if 0 <= ignore_index < num_classes:
        raise ValueError(
            f'{type(metric).__name__}: ignore_index={ignore_index} is one of the {num_classes} '
            'classes of the data set, whose pixels would all be left out: set a value that is none.'
        )
