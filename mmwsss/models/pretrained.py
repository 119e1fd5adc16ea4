"""Pretrained weights by name: ``checkpoint='mmwsss://mit-b1'`` in any ``init_cfg``."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from filelock import FileLock
from torch import Tensor, hub

from mmwsss.compat import CheckpointError

from .converters.foreign_weights import ConversionError
from .pretrained_table import EARLIER, TABLE, Weights, published_hash

SCHEME = 'mmwsss://'
OWN_FOLDER = 'checkpoints'
TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 2  # of each address, where what came is broken


class MissingWeightsError(CheckpointError):
    """Named weights that are not here and cannot be downloaded; the text says how to get them."""


class _BrokenFileError(CheckpointError):
    """A file that is not what its name says."""


def weights_folder() -> Path:
    """Return the folder of downloads, PyTorch's own: ``$TORCH_HOME/hub/checkpoints``."""
    return Path(hub.get_dir()) / 'checkpoints'


def named(checkpoint: str) -> str:
    """Return the name that a checkpoint of a config stands for, '' for any other one.

    Args:
        checkpoint: A name; or a path that does not exist and ends as the files did that were
            converted by hand before weights had names.

    Example:
        >>> named('mmwsss://mit-b1'), named('checkpoints/mit_b1_mmseg.pth'), named('a.pth')
        ('mmwsss://mit-b1', 'mmwsss://mit-b1', '')
    """
    if checkpoint.startswith(SCHEME):
        return checkpoint
    name = EARLIER.get(Path(checkpoint).name)
    return f'{SCHEME}{name}' if name and not Path(checkpoint).expanduser().is_file() else ''


def find_weights(name: str) -> Weights:
    """Return the entry of the table for a name.

    Args:
        name: With or without ``mmwsss://``.

    Raises:
        CheckpointError: there is no such name; the text offers the nearest.
    """
    short = name.removeprefix(SCHEME)
    if short in TABLE:
        return TABLE[short]
    near = get_close_matches(short, TABLE, n=1, cutoff=0.5)
    advice = f'take {SCHEME}{near[0]}' if near else 'tools/download_weights.py --list shows all'
    raise CheckpointError(f'There are no pretrained weights {SCHEME}{short}; {advice}.')


def _in_package(weights: Weights) -> Path | None:
    """Return the file in an installed package, none of whose code is run."""
    if weights.package is None:
        return None
    _, module, file = weights.package
    spec = importlib.util.find_spec(module)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / file).is_file():
            return path
    return None


def find_file(name: str) -> Path | None:
    """Return the file of this machine that a name stands for, None if there is none.

    The order: the published file in ``checkpoints/`` or in PyTorch's folder, what a converter
    made of it under its usual name in ``checkpoints/``, an installed package.

    Args:
        name: With or without ``mmwsss://``.

    Raises:
        CheckpointError: there is no such name.
    """
    weights = find_weights(name)
    places = [Path(OWN_FOLDER, weights.file), weights_folder() / weights.file]
    places += [Path(OWN_FOLDER, earlier) for earlier in weights.earlier]
    found = next((path for path in places if path.is_file()), None)
    return found or _in_package(weights)


def _sha256(path: Path) -> str:
    hashed = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def _read(weights: Weights, path: Path, *, name: str = '') -> dict[str, Tensor]:
    """Check a file and return the backbone's weights.

    Args:
        weights: What it is.
        path: The file.
        name: Its published name, if it is not yet called by it.
    """
    expected = published_hash(name or path.name)
    try:
        if expected and not (found := _sha256(path)).startswith(expected):
            raise _BrokenFileError(
                f'{path}: is damaged or another file, its SHA-256 begins with '
                f'{found[: len(expected)]} where {expected} is expected: remove it, so that it can '
                'be fetched again.'
            )
        return dict(weights.read(path))
    except (ConversionError, CheckpointError) as error:
        raise _BrokenFileError(str(error)) from error
    except OSError as error:
        raise CheckpointError(
            f'{path} cannot be read ({error.strerror or error}); correct its permissions, or '
            'remove it.'
        ) from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _only_process(path: Path) -> Iterator[None]:
    """Let one process at a time fetch a file, where the folder's file system has locks."""
    lock = FileLock(path.with_name(f'.{path.name}.lock'), mode=0o666)
    try:
        lock.acquire()
    except NotImplementedError:
        # two downloads of one file do no harm, as each has a name of its own until it is whole
        yield
        return
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Make a connection fail that says nothing any more; PyTorch's download has no setting."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _download(weights: Weights, url: str, path: Path) -> dict[str, Tensor]:
    """Fetch a file, check it, and only then give it its name."""
    temporary = path.with_name(f'.{path.name}.{socket.gethostname()}-{os.getpid()}.tmp')
    _say(f'Downloading: "{url}" to {path}')
    try:
        with _patience():
            hub.download_url_to_file(url, str(temporary), progress=sys.stderr.isatty())
        content = _read(weights, temporary, name=weights.file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return content


def _missing(name: str, weights: Weights, reasons: list[str]) -> MissingWeightsError:
    """Return the error that says how weights are to be had."""
    what = f'The pretrained weights {SCHEME}{name.removeprefix(SCHEME)} are not here'
    place = f'put the file into {weights_folder()} as {weights.file}'
    if weights.urls:
        return MissingWeightsError(
            f'{what} and could not be downloaded ({"; ".join(reasons)}): get {weights.urls[0]} on '
            f'another machine and {place}.'
        )
    link = 'or' if weights.package else 'and'
    return MissingWeightsError(f'{what}: {weights.home}, {link} {place}.')


def _from_network(weights: Weights, path: Path, reasons: list[str]) -> dict[str, Tensor] | None:
    """Try the addresses in turn; what is broken is fetched once more."""
    for url in weights.urls:
        for _ in range(ATTEMPTS):
            try:
                return _download(weights, url, path)
            except URLError as error:  # nobody is there, or has no such file
                reasons.append(f'{urlparse(url).hostname}: {error}')
                break
            except (_BrokenFileError, HTTPException, ConnectionError, TimeoutError) as error:
                broken = isinstance(error, _BrokenFileError)
                what = 'what came is damaged' if broken else str(error)
                reasons.append(f'{urlparse(url).hostname}: {what}')
    return None


def _fetch(name: str, weights: Weights) -> dict[str, Tensor]:
    """Download weights into PyTorch's folder, unless another process just did."""
    path = weights_folder() / weights.file
    reasons: list[str] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only_process(path):
            if path.is_file():
                with contextlib.suppress(_BrokenFileError):
                    return _read(weights, path)
                _say(f'{path} is damaged and is downloaded again.')
            content = _from_network(weights, path, reasons)
    except OSError as error:
        reasons.append(f'{path.parent} cannot be written, {error.strerror or error}')
        content = None
    if content is None:
        raise _missing(name, weights, list(dict.fromkeys(reasons)))
    return content


def load_pretrained(name: str) -> dict[str, Tensor]:
    """Return the weights of a name under the names of its backbone; get them first if need be.

    Whatever the source, the file is checked: by the hash in its published name if there is one,
    and by the names and shapes of all its tensors. Nothing in it is run.

    Args:
        name: With or without ``mmwsss://``.

    Raises:
        MissingWeightsError: they are not here and cannot be had.
        CheckpointError: there is no such name, or the file is damaged or another one.
    """
    weights, path = find_weights(name), find_file(name)
    if path is None:
        if weights.urls:
            return _fetch(name, weights)
        raise _missing(name, weights, [])
    if path.name in weights.earlier:
        _say(f'{SCHEME}{name.removeprefix(SCHEME)}: {path} is taken, which was converted earlier.')
    try:
        return _read(weights, path)
    except _BrokenFileError:
        # a file of the user is left alone
        if not weights.urls or path.parent != weights_folder():
            raise
    return _fetch(name, weights)


def load_from_mmwsss(filename: str, map_location: Any = None) -> Mapping[str, Any]:
    """Load ``mmwsss://name``; MMEngine prints the end of this name in its log.

    Args:
        filename: The name.
        map_location: Device, or None for the CPU.

    Raises:
        CheckpointError: see :func:`load_pretrained`.
    """
    state_dict = load_pretrained(filename)
    if isinstance(map_location, (str, torch.device)):
        state_dict = {key: value.to(map_location) for key, value in state_dict.items()}
    return dict(state_dict=state_dict)
