"""Child processes that end with their parent."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def die_with_parent() -> None:
    """Make the kernel kill this process when its parent dies.

    A killed process cannot stop its children, and those of a pool would wait forever. Has no
    effect on systems other than Linux.
    """
    if sys.platform != 'linux':
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():  # died before the call of prctl
        os._exit(1)
