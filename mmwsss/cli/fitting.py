"""Whether model, weights and data fit each other, before any of them is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmwsss.errors import UsageError
from mmwsss.utils import short_list

COUNTER = 'num_batches_tracked'  # of batch norm; old checkpoints have none


def check_weights(network: nn.Module, weights: Mapping[str, Tensor], path: str) -> None:
    """Refuse weights that leave a part of the network as random as it was.

    Args:
        network: The model.
        weights: State dict.
        path: Of the checkpoint, for the error.

    Raises:
        UsageError: some are missing or of another shape.
    """
    shapes = {name.removeprefix('module.'): value.shape for name, value in weights.items()}
    wrong = [
        name
        for name, value in network.state_dict().items()
        if shapes.get(name) != value.shape and not name.endswith(COUNTER)
    ]
    if wrong:
        raise UsageError(
            f'The checkpoint {path} lacks {len(wrong)} of the weights of the model, or has them '
            f'in another shape ({short_list(wrong, 3)}): give the config that it was trained with.'
        )


def _network(model: nn.Module) -> nn.Module:
    """Return the segmentor within wrappers of processes and of test-time augmentation."""
    model = model.module if is_model_wrapper(model) else model
    return model.module if isinstance(model, BaseTTAModel) else model


def check_classes(runner: Runner, loop: Any, key: str) -> None:
    """Refuse a model of another number of classes than the data set has.

    Args:
        runner: Of the model.
        loop: Of the data.
        key: Of the data in the config, for the error.

    Raises:
        UsageError: the numbers differ.
    """
    dataset = getattr(loop.dataloader, 'dataset', None)
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    number = getattr(_network(runner.model), 'num_classes', None)
    if not classes or not isinstance(number, int) or number == len(classes):
        return
    raise UsageError(
        f'The model has num_classes={number}, the data set of {key} {len(classes)} classes '
        f'({short_list(list(classes), 5)}): set num_classes of its heads to {len(classes)}, or '
        'name the classes of the model in metainfo.classes.'
    )


def load_fitting(runner: Runner, path: str) -> None:
    """Load weights that have to fit: what is left out would stay random, and give figures.

    Args:
        runner: Of the model.
        path: File or address of the checkpoint.

    Raises:
        UsageError: weights of the model are missing or of another shape.
        CheckpointError: the file is no checkpoint.
    """
    content = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    check_weights(_network(runner.model), content.get('state_dict', content), path)
    runner.load_checkpoint(path, map_location='cpu')
