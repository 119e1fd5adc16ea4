"""Hashes of data sets and weights, to detect changes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from mmseg.registry import DATASETS

from mmwsss.datasets import image_id
from mmwsss.errors import UsageError
from mmwsss.models.pretrained import named

from .tool_configs import find_dicts

EDGE = 1 << 20


class Images(NamedTuple):
    """The images of a data set.

    Args:
        names: Names without folder and extension.
        digest: Hash of names, tags and file sizes.
    """

    names: tuple[str, ...]
    digest: str


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f'{error.filename} cannot be read ({error.strerror}).'
    return ' '.join(str(error).split())


def inner_datasets(dataset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the data sets that a data set wraps; none for a plain one.

    Args:
        dataset: Config of a data set.
    """
    return list(dataset.get('datasets') or [dataset[key] for key in dataset if key == 'dataset'])


def describe(dataset: Mapping[str, Any], *, masks: bool = False) -> Images:
    """Build and thereby check a plain data set, and describe it; opens no images.

    Args:
        dataset: Config of the data set; its pipeline is not used.
        masks: Whether to include its masks.

    Raises:
        UsageError: data are missing or not valid.
    """
    hashed = hashlib.sha256()
    names = []
    try:
        built = DATASETS.build({**dataset, 'pipeline': [], 'serialize_data': False})
        for index in range(len(built)):
            info = built.get_data_info(index)
            names.append(image_id(info['img_path']))
            paths = [info['img_path']] + ([info['seg_map_path']] if masks else [])
            found = [names[-1], *map(os.path.getsize, paths), info.get('gt_label')]
            hashed.update(json.dumps(found, default=repr).encode())
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(_sentence(error)) from error
    return Images(tuple(names), hashed.hexdigest())


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return a cheap hash of a large file, from its size, beginning and end.

    Args:
        path: The file.

    Raises:
        OSError: the file cannot be read.
    """
    size = os.path.getsize(path)
    hashed = hashlib.sha256(str(size).encode())
    with open(path, 'rb') as file:
        hashed.update(file.read(EDGE))
        file.seek(max(0, size - EDGE))
        hashed.update(file.read(EDGE))
    return hashed.hexdigest()


def weight_digests(model: Mapping[str, Any], known: Collection[str]) -> dict[str, str]:
    """Return hashes of the initial weights of a model, by key in its config.

    Args:
        model: Config of the model.
        known: Checkpoints to skip, because they are identified otherwise. URLs and names of
            weights are used as they are.

    Raises:
        UsageError: a file is missing.
    """
    digests = {}
    for name, init in find_dicts(model, 'checkpoint', 'model'):
        key, path = f'{name}.checkpoint', str(init['checkpoint'])
        # the same whatever file of this machine it stands for, and before there is one
        path = named(path) or path
        if path in known:
            continue
        try:
            digests[key] = path if '://' in path else file_digest(path)
        except OSError as error:
            raise UsageError(
                f'the weights {path} with which the model begins cannot be read '
                f'({error.strerror}): get them, or correct {key}.'
            ) from error
    return digests
