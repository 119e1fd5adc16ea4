"""Tools as child processes that end when this one does."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import mmwsss
from mmwsss.utils.processes import die_with_parent

from .manifests import unwritable

GRACE = 10.0  # seconds between asking a process to end and killing it
TAIL = 1 << 16
# a sentence of a tool, or the last line of a traceback
TELLING = re.compile(r'^\w+\.py: (?:error: )?|^[\w.]*(?:Error|Exception|Interrupt)\b')


def readable(path: str | os.PathLike[str]) -> str:
    """Return a path as one would type it in the current folder.

    Args:
        path: The path.
    """
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def command_line(tool: str | Path, words: Sequence[str]) -> str:
    """Return a command as one would type it.

    Args:
        tool: The program.
        words: Its arguments.
    """
    return shlex.join(['python', readable(tool), *words])


def last_sentence(text: str) -> str:
    r"""Return what a tool that failed said in the end.

    Args:
        text: End of what it printed.

    Example:
        >>> last_sentence('Traceback ...\nValueError: no images\n[W socket.cpp] closed')
        'ValueError: no images'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if TELLING.match(line)]
    return re.sub(r'^\w+\.py: (error: )?', '', (telling or lines or ['it said nothing'])[-1])


class Child:
    """A tool that runs; what it prints goes to the end of a file.

    Args:
        tool: The program.
        words: Its arguments.
        log: File for its output.
        environment: Variables beside those of this process.
        inherited: Open files that it shares.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(
        self,
        tool: Path,
        words: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        self.log = log
        # of a checkout that is not installed
        path = [str(Path(mmwsss.__file__).parents[1]), os.environ.get('PYTHONPATH', '')]
        env = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, path))}
        parent = os.getpid()

        def bind() -> None:
            die_with_parent()
            if os.getppid() != parent:  # it died before the kernel was asked
                os._exit(1)

        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with open(log, 'ab') as file, warnings.catch_warnings():
                file.write(f'$ {command_line(tool, words)}\n'.encode(errors='surrogateescape'))
                file.flush()
                self.start = file.tell()
                # Python 3.12 warns where a process with threads forks; bind needs no lock
                warnings.simplefilter('ignore', DeprecationWarning)
                self.process = subprocess.Popen(
                    [sys.executable, str(tool), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env={**env, **(environment or {})},
                    pass_fds=inherited,
                    preexec_fn=bind,
                    # Ctrl-C is for this process, which then ends the child and its children
                    start_new_session=True,
                )
        except OSError as error:
            raise unwritable(log, error) from error

    def wait(self, look: Callable[[], None], interval: float = 0.2) -> int:
        """Wait for its end, and return its status.

        Args:
            look: Called now and then.
            interval: Seconds between two looks.
        """
        while True:
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(interval)
            look()

    def sentence(self) -> str:
        """Return what it said last."""
        with open(self.log, 'rb') as file:
            file.seek(max(self.start, os.fstat(file.fileno()).st_size - TAIL))
            return last_sentence(file.read().decode(errors='replace'))

    def end(self) -> None:
        """End it with all that it started, if it still runs."""
        if self.process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)
                return
