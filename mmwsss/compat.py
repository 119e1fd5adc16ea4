"""Differences between the two OpenMMLab stacks: version checks and safe loading of checkpoints."""

from __future__ import annotations

import codecs
import contextlib
import importlib.metadata
import importlib.util
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.parse import urlparse

# import name -> (distribution, oldest supported version, first unsupported version) for each stack
STACKS: dict[str, dict[str, tuple[str, str, str]]] = {
    'onedl': {
        'mmengine': ('onedl-mmengine', '0.10.12', '1.0'),
        'mmcv': ('onedl-mmcv', '2.3.6', '3.0'),
        'mmseg': ('onedl-mmsegmentation', '1.4.2', '2.0'),
    },
    'openmmlab': {
        'mmengine': ('mmengine', '0.10.0', '1.0'),
        'mmcv': ('mmcv', '2.1.0', '2.2.0'),
        'mmseg': ('mmsegmentation', '1.2.0', '2.0'),
    },
}
INSTALL = (
    "install one stack in an environment of its own, either pip install 'mmwsss[onedl]' (no "
    "compiler needed) or pip install 'setuptools<81' wheel ninja psutil, then MMCV_WITH_OPS=1 "
    "pip install --no-build-isolation mmcv==2.1.0, then pip install 'mmwsss[openmmlab]'"
)
MIN_TORCH = '2.4'


def _digits(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r'\d+', version.split('+')[0])[:3])


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _has_files(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def installed_stacks() -> dict[str, dict[str, str]]:
    """Return the installed versions by stack and distribution."""
    return {
        stack: {
            distribution: version
            for distribution, _, _ in parts.values()
            if (version := _version(distribution)) is not None
        }
        for stack, parts in STACKS.items()
    }


def _stack_problem() -> str | None:
    """Return a description of what is wrong with the installed packages, or None."""
    torch_version = _version('torch')
    if torch_version is None and not _has_files('torch'):
        return f'PyTorch is not installed, at least {MIN_TORCH} is needed'
    if torch_version is not None and _digits(torch_version) < _digits(MIN_TORCH):
        return f'torch {torch_version} is installed, at least {MIN_TORCH} is needed'
    found = installed_stacks()
    if found['onedl'] and found['openmmlab']:
        both = ', '.join([*found['onedl'], *found['openmmlab']])
        return f'both stacks are installed in this environment ({both})'
    stack = 'onedl' if found['onedl'] else 'openmmlab'
    absent = [part for name, (part, _, _) in STACKS[stack].items() if not _has_files(name)]
    if len(absent) == len(STACKS[stack]):
        return 'neither the OneDL nor the OpenMMLab packages are installed'
    if absent:
        return f'only half of the {stack} stack is installed, {", ".join(absent)} is missing'
    for name, oldest, limit in STACKS[stack].values():
        # a source tree on PYTHONPATH has no distribution: rely on its own check
        version = found[stack].get(name, oldest)
        if not _digits(oldest) <= _digits(version) < _digits(limit):
            return f'{name} {version} is installed, at least {oldest} and below {limit} is needed'
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress output of the stacks on import that users cannot act on."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Fail to import .*MultiScaleDeformableAttention')
        warnings.filterwarnings('ignore', r'.*torch\.jit\.')
        yield


def check_stack() -> None:
    """Check that exactly one OpenMMLab stack is installed and works.

    Raises:
        ImportError: a stack is missing, incomplete, not unique, too old or too new, or cannot be
            imported; the message says what to install.
    """
    problem, cause = _stack_problem(), None
    if problem is None:
        try:
            with _quiet():
                for name in ('mmengine', 'mmcv', 'mmseg.datasets', 'mmseg.models'):
                    importlib.import_module(name)
            return
        except Exception as error:  # broken environments raise many types of errors
            cause, problem = error, f'the installed packages do not import ({error})'
            if 'torchvision::' in str(error):
                problem += ', install the torchvision that was built for this torch or remove it'
    raise ImportError(f'mmwsss: {problem}; {INSTALL}.') from cause


class CheckpointError(RuntimeError):
    """A checkpoint that is damaged or contains more than tensors, numbers and strings."""


def _named_as(full_name: str, function: Callable) -> Callable:
    """Set the name of a function to the one in the pickle (torch 2.4 does not support tuples)."""
    module, _, name = full_name.rpartition('.')
    function.__module__, function.__name__, function.__qualname__ = module, name, name
    return function


def _history_getattr() -> Callable:
    """Return a replacement for ``getattr`` that only serves statistics of ``HistoryBuffer``."""
    from mmengine.logging import HistoryBuffer

    def served(owner: Any, name: str, *default: Any) -> Any:
        if owner is HistoryBuffer and not default and name in ('min', 'max', 'current', 'mean'):
            return vars(HistoryBuffer)[name]
        raise CheckpointError(f'it asks for the attribute {name!r} of {owner!r}')

    return _named_as('builtins.getattr', served)


def _safe_globals() -> list[Callable]:
    """Return the globals that a checkpoint of MMEngine's Runner needs besides tensors."""
    import numpy as np
    from mmengine.logging import HistoryBuffer

    # names in NumPy 1 and 2, because checkpoints move between machines
    real = {'_reconstruct': np.ones(1).__reduce__()[0], 'scalar': np.float64(1).__reduce__()[0]}
    twins = [
        _named_as(f'{core}.multiarray.{name}', lambda *args, function=function: function(*args))
        for core in ('numpy.core', 'numpy._core')
        for name, function in real.items()
    ]
    dtypes = [type(np.dtype(code)) for code in ('f8', 'f4', 'i8', 'i4', 'bool')]
    # bytes are pickled as a call of codecs.encode, which torch allows from 2.5 on
    plain = [HistoryBuffer, np.ndarray, np.dtype, codecs.encode]
    return [*plain, *twins, *dtypes, _history_getattr()]


@contextlib.contextmanager
def _allowed(functions: list[Callable]) -> Iterator[None]:
    """Allow globals for one load, like ``torch.serialization.safe_globals`` of torch 2.5."""
    from torch import serialization

    before = serialization.get_safe_globals()
    serialization.clear_safe_globals()
    serialization.add_safe_globals(functions)
    try:
        yield
    finally:
        serialization.clear_safe_globals()
        serialization.add_safe_globals(before)


def load_strictly(filename: str | os.PathLike[str], map_location: Any = None) -> Any:
    """Load a checkpoint without executing any code in it.

    Supports tensors, plain containers, numbers, strings and the message hub of MMEngine's
    ``Runner``. Rejects everything else, without falling back to unsafe loading.

    Args:
        filename: Local file; ``~`` is expanded.
        map_location: As in :func:`torch.load`.

    Raises:
        FileNotFoundError: the file does not exist.
        CheckpointError: the file is not a checkpoint, is damaged, or contains anything else.
    """
    import torch

    path = Path(filename).expanduser()
    if not path.is_file():
        advice = 'check the path, or create the file with one of tools/model_converters'
        raise FileNotFoundError(f'There is no checkpoint {path}; {advice}.')
    try:
        with _allowed(_safe_globals()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # torch raises many types of errors for other files
        raise CheckpointError(_refusal(path, error)) from error


def _refusal(path: Path, error: Exception) -> str:
    text = ' '.join(str(error).split())
    if asked := re.search(r'GLOBAL (?:builtins\.)?(\S+)', text):
        reason = f'it asks for {asked[1]}'
    elif re.search('asks for the attribute|reduce|create new object', text):
        reason = 'it asks for more than a checkpoint needs'
    elif isinstance(error, UnpicklingError):
        reason = 'it is damaged or not a checkpoint'
    else:
        reason = f'PyTorch cannot read it ({text.split(". ")[0][:200]})'
    return (
        f'The checkpoint {path} was refused because {reason}; download it again, or ask its '
        'author to save only the weights with torch.save(model.state_dict(), file).'
    )


def check_weights_file(content: Any, name: str | os.PathLike[str]) -> Any:
    """Check that a checkpoint contains weights and that all of them are finite, and return it.

    Args:
        name: File or address, for the error message.

    Raises:
        CheckpointError: it is not a dictionary, contains no tensors, or NaN or infinity.
    """
    import torch

    weights = content.get('state_dict', content) if isinstance(content, Mapping) else content
    tensors = {}
    if isinstance(weights, Mapping):
        tensors = {key: v for key, v in weights.items() if isinstance(v, torch.Tensor)}
    if not isinstance(weights, Mapping) or (weights and not tensors):
        held = type(weights).__name__
        if isinstance(weights, Mapping):
            held = f'{held} of {", ".join(map(str, list(weights)[:3]))}'
        raise CheckpointError(
            f'The checkpoint {name} holds a {held} instead of named weights: use a checkpoint of '
            'a training, a file of torch.save(model.state_dict(), file), or the output of one of '
            'tools/model_converters.'
        )
    broken = [
        key for key, v in tensors.items() if v.is_floating_point() and not bool(v.isfinite().all())
    ]
    if broken:
        more = f' and {len(broken) - 1} more' if len(broken) > 1 else ''
        raise CheckpointError(
            f'The checkpoint {name} has NaN or infinity in {broken[0]}{more}, which would give '
            'meaningless masks: use an earlier one, and train with a smaller learning rate or '
            'without mixed precision.'
        )
    return content


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a local checkpoint.

    MMEngine logs the last part of the name of this function. If the file does not exist and is
    one of those that used to be converted by hand, loads the pretrained weights that replace it.
    """
    from mmwsss.models import pretrained

    if name := pretrained.named(filename):
        print(f'{filename} does not exist; using {name}.', file=sys.stderr)
        return pretrained.load_from_mmwsss(name, map_location)
    return check_weights_file(load_strictly(filename, map_location), filename)


def load_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True
) -> Any:
    """Download a checkpoint to PyTorch's cache, unless it is cached, and load it safely.

    Args:
        url: ``http`` or ``https`` address.
        model_dir: Folder of the cache, ``checkpoints`` in PyTorch's hub folder by default.
        map_location: As in :func:`torch.load`.
        progress: Show a progress bar.

    Raises:
        CheckpointError: it cannot be downloaded or read.
    """
    from torch import hub

    folder = Path(model_dir) if model_dir else Path(hub.get_dir()) / 'checkpoints'
    path = folder / Path(urlparse(url).path).name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f'Downloading: "{url}" to {path}', file=sys.stderr)
        try:
            hub.download_url_to_file(url, str(path), progress=progress)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f'The checkpoint {url} could not be downloaded ({error}); download it manually '
                'and use the path of the file.'
            ) from error
    return check_weights_file(load_strictly(path, map_location), url)


def load_from_openmmlab(filename: str, map_location: Any = None) -> Any:
    """Load ``open-mmlab://name`` with MMEngine's table of names.

    Raises:
        CheckpointError: the table does not contain the name.
    """
    from mmengine.runner import checkpoint

    name = filename.split('://', 1)[1]
    name = checkpoint.get_deprecated_model_names().get(name, name)
    address = checkpoint.get_external_models().get(name)
    if address is None:
        raise CheckpointError(f"{filename} is not in MMEngine's table; use a file or a URL.")
    if urlparse(address).scheme in ('http', 'https'):
        return checkpoint.load_from_http(address, map_location=map_location)
    path = Path(checkpoint._get_mmengine_home()) / address
    return check_weights_file(load_strictly(path, map_location), filename)


def load_from_mmwsss(filename: str, map_location: Any = None) -> Any:
    """Load ``mmwsss://name`` with :func:`mmwsss.models.pretrained.load_from_mmwsss`."""
    from mmwsss.models import pretrained

    return pretrained.load_from_mmwsss(filename, map_location)


def load_from_remote_store(filename: str, map_location: Any = None) -> Any:
    """Reject remote stores, whose readers unpickle without checks.

    Raises:
        CheckpointError: always.
    """
    raise CheckpointError(
        f'The checkpoint {filename} cannot be read safely from there; download it and use the '
        'path of the file.'
    )


def _put_whole(self: Any, obj: bytes | memoryview, filepath: str | os.PathLike[str]) -> None:
    """Replace ``LocalBackend.put`` by an atomic write."""
    from mmwsss.utils import atomic_write

    with atomic_write(filepath) as file:
        file.write(obj)


def install_strict_loading() -> None:
    """Make MMEngine load every checkpoint with :func:`load_strictly` and write files atomically."""
    from mmengine.runner import checkpoint

    register = checkpoint.CheckpointLoader.register_scheme
    register('', load_from_local, force=True)
    register(['open-mmlab://', 'openmmlab://'], load_from_openmmlab, force=True)
    register('mmwsss://', load_from_mmwsss, force=True)
    stores = ['pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://']
    register(stores, load_from_remote_store, force=True)
    # a full disk would leave a partial checkpoint, and the error would not name the file
    local = importlib.import_module('mmengine.fileio.backends.local_backend')
    local.LocalBackend.put = _put_whole
    # the other schemes use the module's load_from_http, which calls load_url by this name
    checkpoint.load_url = load_url
