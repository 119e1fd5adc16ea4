"""Time and memory of functions, for the benchmark tools."""

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
    """Return the shortest time of each function in seconds.

    The functions take turns, so that other load on the machine affects all of them.
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
    """Return the peak memory of this process in bytes."""
    status = Path('/proc/self/status')
    if status.exists():  # getrusage on Linux inherits the peak of the parent
        for line in status.read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024
    import resource  # POSIX only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def extra_memory(function: Callable[[], Any], device: str) -> int:
    """Return the peak memory of one call in bytes, minus the memory in use before it.

    The peak on a CPU is that of the process and cannot be reset, so call this once per process
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
