"""A lock on a folder, so that two runs do not write the same files."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmwsss.errors import UsageError

from .display import say
from .manifests import unwritable

NAME = '.lock'
PATIENCE = 30.0  # seconds for the children of a run that was killed to end


def _owner_is_gone(text: str) -> bool:
    """Return whether the owner of a lock was a process of this machine that has ended."""
    host, _, pid = text.partition(' ')
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold a lock on a folder; the system releases it when all processes sharing it have ended.

    Args:
        folder: Folder; created if necessary.

    Yields:
        The locked file, to be inherited by processes that write to the folder.

    Raises:
        UsageError: another run holds the lock, or the folder is not writable.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        _acquire(file, folder)
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, f'{socket.gethostname()} {os.getpid()}'.encode(), 0)
        except OSError as error:
            raise unwritable(path, error) from error
        yield file
    finally:
        os.close(file)


def check_system() -> None:
    """Check that the system supports file locks and process groups.

    Raises:
        UsageError: the system is not POSIX.
    """
    try:
        import fcntl
    except ImportError:
        fcntl = None
    if fcntl is None or not hasattr(os, 'killpg'):
        raise UsageError(
            'Pipelines need Linux or macOS (file locks and process groups): on Windows run the '
            'tools of its stages one after the other, or the pipeline in WSL.'
        )


def _acquire(file: int, folder: Path) -> None:
    import fcntl

    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            owner = os.pread(file, 256, 0).decode()
        except OSError as error:
            say(
                f'{folder} cannot be locked ({error.strerror}): see to it that no other run writes '
                'into it.'
            )
            return
        # of a run that was killed, the processes that load images need some seconds to notice
        if not _owner_is_gone(owner) or time.monotonic() > end:
            host, _, pid = owner.partition(' ')
            raise UsageError(
                f'another run is at work in {folder}, process {pid} on {host}: wait for it, or '
                'name another --work-dir.'
            )
        time.sleep(0.1)
