"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

NAME_LIMIT = 255  # bytes of a file's name, of nearly all systems
TEMPORARY = re.compile(r'^\.(?P<name>.+)\.(?P<host>[^.]*)-(?P<pid>\d+)\.tmp$')


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
