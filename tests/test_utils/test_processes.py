"""die_with_parent: what is left of a pool when its owner is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmwsss.utils import processes

ROOT = Path(__file__).parents[2]
OWNER = """
import os, time
from mmwsss.utils.progress import track

def work(task):
    os.write(1, f'{os.getpid()}\\n'.encode())  # at once: print writes the end apart
    time.sleep(60)

if __name__ == '__main__':
    list(track(work, range(4), workers=2))
"""
ORPHAN = """
import multiprocessing, os, time
from mmwsss.utils.processes import die_with_parent

def late():
    while os.getppid() == owner:
        time.sleep(0.01)
    die_with_parent()
    print('alive', flush=True)

owner = os.getpid()
process = multiprocessing.get_context('fork').Process(target=late)
process.start()
os._exit(0)
"""


def is_running(pid):
    """Whether a process runs; one that is dead and not waited for does not."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux alone can do it')
def test_killed_owner_leaves_no_workers(tmp_path):
    script = tmp_path / 'owner.py'
    script.write_text(OWNER)
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    argv = [sys.executable, '-W', 'ignore', script]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as owner:
        workers = [int(owner.stdout.readline()) for _ in range(2)]
        assert all(map(is_running, workers))
        owner.send_signal(signal.SIGKILL)
    deadline = time.time() + 10
    while any(map(is_running, workers)) and time.time() < deadline:
        time.sleep(0.02)
    left = [pid for pid in workers if is_running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux alone can do it')
def test_owner_that_is_dead_already(tmp_path):
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    argv = [sys.executable, '-W', 'ignore', '-c', ORPHAN]
    # the pipe closes when the last process has ended
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ('', '')


def test_nothing_happens_elsewhere(monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'darwin')
    monkeypatch.setattr(processes.ctypes, 'CDLL', None)
    processes.die_with_parent()
