"""Files that are either whole or not there."""

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

NAME_LIMIT = 255  # bytes of a file's name, of nearly all systems
TEMPORARY = re.compile(r'^\.(?P<name>.+)\.(?P<host>[^.]*)-(?P<pid>\d+)\.tmp$')


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse what is there but is no file with an end: a FIFO, a socket, a device.

    Args:
        path: What is to be opened; a folder is left to what opens it.

    Raises:
        OSError: it is nothing of that kind, or not there.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, 'not a regular file', os.fspath(path))


def read_content(path: str | os.PathLike[str], backend_args: dict | None = None) -> bytes:
    """Return what a file holds, a regular one where it is a local file.

    Args:
        path: File, or an address that one of MMEngine's file backends knows.
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
    """Return the text of a file that this package wrote.

    Args:
        path: The file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no UTF-8.
    """
    return read_content(path).decode()


def _host() -> str:
    return re.sub(r'[^\w-]', '_', socket.gethostname())


def _temporary_name(name: str) -> str:
    end = f'.{_host()}-{os.getpid()}.tmp'
    if 1 + len(os.fsencode(name)) + len(end) > NAME_LIMIT:
        # a name that is as long as one may be leaves no room for more
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f'.{name}{end}'


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: str = 'wb', *, encoding: str | None = None
) -> Iterator[IO]:
    """Open a file that appears under its name only when it is written completely.

    The data go to a hidden file in the same folder, which is renamed at the end; an error in
    the block removes it and leaves what ``path`` held before. The folder is made if need be.

    Args:
        path: File to write.
        mode: ``'wb'`` or ``'w'``.
        encoding: Of text; UTF-8 by default.

    Raises:
        ValueError: ``mode`` is another one.
        OSError: the folder or the file cannot be written; it names ``path``.
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
            # names of files need not be UTF-8
            errors='surrogateescape' if text else None,
            newline='' if text else None,
        ) as file:
            yield file
            file.flush()
            # without it a power cut may leave an empty file under the final name
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            # what the system says of a file that is open has no name
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
    """Remove what killed processes of this machine left of :func:`atomic_write`.

    Args:
        folder: Where to look, sub-folders not among it. It need not exist.

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
