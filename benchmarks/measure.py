"""Seconds and memory of functions, for the tools that compare two forms of one thing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

CHILD = '--measure-here'


def best_seconds(
    functions: Sequence[Callable[[], Any]], *, repeats: int, device: str
) -> list[float]:
    """Return the shortest time of each function; they take turns, so that a busy machine slows all.

    Args:
        functions: What to measure.
        repeats: Turns of each.
        device: Where they run.
    """
    best = [float('inf')] * len(functions)
    for _ in range(repeats):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            if torch.device(device).type == 'cuda':
                torch.cuda.synchronize(device)
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def peak_resident() -> int:
    """Return the most memory that this process held, in bytes."""
    status = Path('/proc/self/status')
    if status.exists():  # what getrusage says on Linux begins with the peak of the parent
        for line in status.read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024
    import resource  # of POSIX

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def extra_memory(function: Callable[[], Any], device: str) -> int:
    """Return the bytes that one call needs at most, above what is held before it.

    On a CPU the peak of the process counts, which nothing resets: call this once a process
    (:func:`run_child`).
    """
    if torch.device(device).type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return torch.cuda.max_memory_allocated(device) - before
    before = peak_resident()
    function()
    return peak_resident() - before


def run_child(script: str, task: dict) -> Any:
    """Run a script as ``script --measure-here JSON`` and return the JSON of its last line.

    Raises:
        RuntimeError: the script failed.
    """
    command = [sys.executable, script, CHILD, json.dumps(task)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        end = (process.stderr.strip().splitlines() or ['no message'])[-1]
        raise RuntimeError(f'{script}: the process that measures memory failed: {end}')
    return json.loads(process.stdout.strip().splitlines()[-1])
