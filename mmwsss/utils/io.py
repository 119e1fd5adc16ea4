"""Atomic writing and checked reading of files."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

NAME_LIMIT = 255  # bytes of a file name, on nearly all systems
TEMPORARY = re.compile(r'^\.(?P<name>.+)\.(?P<host>[^.]*)-(?P<pid>\d+)\.tmp$')


def check_regular(path: str | os.PathLike[str]) -> None:
    """Reject FIFOs, sockets and devices, which could block or never end; folders pass.

    Raises:
        OSError: the path is none of a regular file or folder, or does not exist.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, 'not a regular file', os.fspath(path))


def read_content(path: str | os.PathLike[str], backend_args: dict | None = None) -> bytes:
    """Return the content of a file.

    Args:
        path: Regular local file, or an address for one of MMEngine's file backends.
        backend_args: Arguments of the backend.

    Raises:
        OSError: it cannot be read.
    """
    if backend_args is not None or '://' in os.fspath(path):
        from mmengine import fileio

        return fileio.get(path, backend_args=backend_args)
    check_regular(path)
    return Path(path).read_bytes()


def read_utf8(path: str | os.PathLike[str]) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8.
    """
    return read_content(path).decode()


def _host() -> str:
    return re.sub(r'[^\w-]', '_', socket.gethostname())


def _temporary_name(name: str) -> str:
    end = f'.{_host()}-{os.getpid()}.tmp'
    if 1 + len(os.fsencode(name)) + len(end) > NAME_LIMIT:
        # no room for the suffix: replace a very long name by its hash
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f'.{name}{end}'


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: str = 'wb', *, encoding: str | None = None
) -> Iterator[IO]:
    """Open a file for writing that replaces ``path`` only when it is complete.

    The data go to a hidden file in the same folder, which is renamed at the end. An error in the
    block removes it and keeps the previous content of ``path``. Missing folders are created.

    Args:
        mode: ``'wb'`` or ``'w'``.
        encoding: Text encoding, UTF-8 by default.

    Raises:
        ValueError: ``mode`` is invalid.
        OSError: the folder or the file cannot be written; the error names ``path``.
    """
    if mode not in ('w', 'wb'):
        raise ValueError(f"atomic_write: mode must be 'w' or 'wb', got {mode!r}.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_temporary_name(path.name))
    text = mode == 'w'
    try:
        with open(
            temporary,
            mode,
            encoding=(encoding or 'utf-8') if text else None,
            # the text may contain file names, which need not be UTF-8
            errors='surrogateescape' if text else None,
            newline='' if text else None,
        ) as file:
            yield file
            file.flush()
            # otherwise a power failure could leave an empty file under the final name
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            # errors on an open file do not include its name
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def remove_stale(folder: str | os.PathLike[str]) -> int:
    """Remove temporary files of :func:`atomic_write` left by killed processes of this machine.

    Sub-folders are not searched. The folder need not exist.

    Returns:
        The number of files removed.
    """
    folder = Path(folder)
    if os.name != 'posix' or not folder.is_dir():
        return 0
    removed = 0
    for path in folder.iterdir():
        match = TEMPORARY.match(path.name)
        if match and match['host'] == _host() and not _is_running(int(match['pid'])):
            path.unlink(missing_ok=True)
            removed += 1
    return removed
