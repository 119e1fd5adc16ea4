"""Tools as child processes that end together with this process."""

from __future__ import annotations

import json
import os
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


def readable(path: str | os.PathLike[str]) -> str:
    """Return a path relative to the current folder where possible, for display.

    Args:
        path: The path.
    """
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def command_line(tool: str | Path, words: Sequence[str]) -> str:
    """Return a command as it would be typed in a shell.

    Args:
        tool: The program.
        words: Its arguments.
    """
    return shlex.join(['python', readable(tool), *words])


class Child:
    """A running tool whose output is appended to a file.

    Args:
        tool: The program.
        words: Its arguments.
        log: File for its output.
        environment: Variables in addition to those of this process.
        inherited: Open files that the child inherits.

    Raises:
        UsageError: the log file is not writable.
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
        self.log, self.error_file = log, log.with_suffix('.error.json')
        # of a checkout that is not installed
        path = [str(Path(mmwsss.__file__).parents[1]), os.environ.get('PYTHONPATH', '')]
        env = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, path))}
        env['TORCHELASTIC_ERROR_FILE'] = str(self.error_file.resolve())
        parent = os.getpid()

        def bind() -> None:
            die_with_parent()
            if os.getppid() != parent:  # it died before the kernel was asked
                os._exit(1)

        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            self.error_file.unlink(missing_ok=True)
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
        """Wait until it ends, and return its exit status.

        Args:
            look: Called periodically.
            interval: Seconds between two calls.
        """
        while True:
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(interval)
            look()

    def sentence(self) -> str:
        """Return why it failed: its recorded error, or else the last line of its output."""
        try:
            recorded = json.loads(self.error_file.read_text())['message']
            message = recorded['message'] if isinstance(recorded, dict) else recorded
        except (OSError, ValueError, KeyError, TypeError):
            with open(self.log, 'rb') as file:
                file.seek(max(self.start, os.fstat(file.fileno()).st_size - TAIL))
                lines = file.read().decode(errors='replace').split('\n')
            message = next((line.strip() for line in reversed(lines) if line.strip()), 'no word')
        return ' '.join(message.removeprefix('UsageError: ').split())

    def end(self) -> None:
        """Terminate it and all its children if it still runs."""
        if self.process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)
                return
