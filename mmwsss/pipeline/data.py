"""What the images of a data set are, so that a change of them is noticed."""

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
        names: Without folder and extension.
        digest: Of names, tags and sizes of the files.
    """

    names: tuple[str, ...]
    digest: str


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f'{error.filename} cannot be read ({error.strerror}).'
    return ' '.join(str(error).split())


def inner_datasets(dataset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the data sets that a data set is made of, none for a plain one.

    Args:
        dataset: Config of a data set.
    """
    return list(dataset.get('datasets') or [dataset[key] for key in dataset if key == 'dataset'])


def describe(dataset: Mapping[str, Any], *, masks: bool = False) -> Images:
    """Build a plain data set, which checks it, and say what it holds; no image is opened.

    Args:
        dataset: Config of the data set; its pipeline is not used.
        masks: Whether its masks count, too.

    Raises:
        UsageError: the data are missing or wrong.
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
    """Return what tells a large file from another one: its size, beginning and end.

    Args:
        path: The file.

    Raises:
        OSError: it cannot be read.
    """
    size = os.path.getsize(path)
    hashed = hashlib.sha256(str(size).encode())
    with open(path, 'rb') as file:
        hashed.update(file.read(EDGE))
        file.seek(max(0, size - EDGE))
        hashed.update(file.read(EDGE))
    return hashed.hexdigest()


def weight_digests(model: Mapping[str, Any], known: Collection[str]) -> dict[str, str]:
    """Return digests of the weights with which a model begins, by the key in its config.

    Args:
        model: Config of the model.
        known: Checkpoints that are told otherwise, and left out. Addresses and names of weights
            stand for themselves.

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
