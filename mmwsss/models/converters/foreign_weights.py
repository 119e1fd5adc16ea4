"""Weights of other projects: read without running them, checked name by name, saved whole."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmwsss.compat import check_weights_file, load_strictly
from mmwsss.utils import atomic_write
from mmwsss.version import __version__

_WRAPPERS = ('state_dict', 'model', 'net', 'weights')
_PREFIX = 'module.'
_COUNTER = 'num_batches_tracked'


class ConversionError(ValueError):
    """A file that is not the one the converter is for; the text names file and entry."""


@dataclass(frozen=True)
class NameTable:
    r"""What the weights of a published network are called here.

    Args:
        rules: Patterns of parts of the published name and what takes their place, as of
            :func:`re.sub`, one after another. What no rule knows stays as it is.
        left_out: Pattern of the beginning of those names that have no part in the network.

    Example:
        >>> names = NameTable(((r'^fc1\.', 'head.'), (r'\.gamma$', '.weight')), left_out='aux')
        >>> names('fc1.gamma'), names.renamed({'aux.bias': 0, 'fc1.bias': 1})
        ('head.weight', {'head.bias': 1})
    """

    rules: tuple[tuple[str, str], ...]
    left_out: str = r'(?!)'

    def __call__(self, name: str) -> str:
        """Return the name of a weight here.

        Args:
            name: In the published code.
        """
        for pattern, ours in self.rules:
            name = re.sub(pattern, ours, name)
        return name

    def used(self, names: Iterable[str]) -> list[str]:
        """Return those of some published names that have a part in the network.

        Args:
            names: In the published code.
        """
        return [name for name in names if not re.match(self.left_out, name)]

    def renamed(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return the weights of the network under their names here, whether they fit or not.

        Args:
            weights: Under their published names.
        """
        return {self(name): weights[name] for name in self.used(weights)}


class Converted(NamedTuple):
    """Weights of a whole network.

    Args:
        state_dict: Under this project's names.
        num_classes: Classes with background; None for a backbone.
        settings: Of the network, where the weights tell them.
    """

    state_dict: dict[str, Tensor]
    num_classes: int | None = None
    settings: dict[str, Any] = {}


def shapes_of(
    build: Callable[[], nn.Module | Mapping[str, nn.Module]], device: str = 'meta'
) -> dict[str, torch.Size]:
    """Return names and shapes of the state dict of a network.

    Args:
        build: Makes the network, or its parts by their names.
        device: Where; ``'meta'`` takes neither time nor memory.
    """
    with torch.device(device):
        network = build()
        parts = {'': network} if isinstance(network, nn.Module) else network
    return {
        f'{part}.{name}'.lstrip('.'): value.shape
        for part, network in parts.items()
        for name, value in network.state_dict().items()
    }


def read_torch_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the weights of a PyTorch file of another project.

    A state dict that lies within a checkpoint is found, and the ``module.`` that
    ``DataParallel`` puts before every name is taken away.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: there is no such file.
        mmwsss.compat.CheckpointError: it is damaged, no checkpoint, more than weights, or has
            weights that are not finite.
        ConversionError: it holds no named tensors.
    """
    content = load_strictly(path, map_location='cpu')
    while isinstance(content, Mapping):
        inner = [key for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = content[inner[0]]
    if not isinstance(content, Mapping) or not content:
        raise ConversionError(
            f'{path}: holds a {type(content).__name__} where named tensors are expected: give a '
            'state dict, or a checkpoint with one.'
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ConversionError(
                f'{path}: the entry {name!r} is a {type(value).__name__} where a tensor is '
                'expected: give a state dict, or a checkpoint with one.'
            )
    weights = dict(check_weights_file(content, path))
    while all(name.startswith(_PREFIX) for name in weights):
        weights = {name.removeprefix(_PREFIX): value for name, value in weights.items()}
    return weights


def convert_weights(
    weights: Mapping[str, Tensor],
    names: NameTable,
    expected: Mapping[str, torch.Size],
    path: str | os.PathLike[str],
) -> dict[str, Tensor]:
    """Give weights the names of a model, which they must fit one to one.

    Batch norms' counters, which old files lack, are set to 0.

    Args:
        weights: Weights under their published names.
        names: What they are called in the model.
        expected: Names and shapes of the model's state dict.
        path: Where the weights come from, for errors.

    Returns:
        State dict with exactly the names of ``expected``, in its order.

    Raises:
        ConversionError: a name is unknown or missing, or a shape differs; the text names the
            first such entry.
    """
    found: dict[str, Tensor] = {}
    for name in names.used(weights):
        value, target = weights[name], names(name)
        if target not in expected or target in found:
            raise ConversionError(
                f'{path}: the entry {name!r} has no place in the network ({len(weights)} entries, '
                f'{len(expected)} expected): give the file that this converter is for.'
            )
        if value.shape != expected[target]:
            raise ConversionError(
                f'{path}: {name!r} has the shape {tuple(value.shape)} where '
                f'{tuple(expected[target])} is expected: give the file that this converter is for.'
            )
        found[target] = value
    missing = [name for name in expected if name not in found and not name.endswith(_COUNTER)]
    if missing:
        raise ConversionError(
            f'{path}: {len(missing)} of {len(expected)} entries are missing, the first is what '
            f'becomes {missing[0]!r}: give the file that this converter is for.'
        )
    return {name: _as_parameter(found.get(name), name) for name in expected}


def _as_parameter(value: Tensor | None, name: str) -> Tensor:
    """Return a tensor of its own storage in the type that a state dict holds."""
    if value is None:
        return torch.zeros((), dtype=torch.int64)
    return value.detach().to(torch.int64 if name.endswith(_COUNTER) else torch.float32).clone()


def save_weights(
    state_dict: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Save weights as a checkpoint that MMEngine loads; nothing half-written ever stays.

    Args:
        state_dict: The weights.
        path: File to write.
        source: File that they come from; its name goes into ``meta``.
        meta: What to put into the checkpoint's ``meta`` besides.

    Raises:
        ConversionError: ``path`` is ``source`` or a folder.
        OSError: it cannot be written.
    """
    path, source = Path(path), Path(source)
    if path.is_dir():
        raise ConversionError(f'{path}: is a folder: give the name of the file to write.')
    if path.exists() and source.exists() and path.samefile(source):
        raise ConversionError(f'{path}: is the file to convert: give another name for the result.')
    about = {'mmwsss_version': __version__, 'converted_from': source.name, **(meta or {})}
    with atomic_write(path) as file:
        torch.save({'meta': about, 'state_dict': dict(state_dict)}, file)
