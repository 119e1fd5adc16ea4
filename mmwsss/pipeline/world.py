"""The processes of a pipeline, started directly, by torchrun or by Slurm."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from mmwsss.errors import UsageError

# the others wait while one of them works, for days if need be
TIMEOUT = timedelta(days=365)


@contextmanager
def _others() -> Iterator[None]:
    """Raise a clear error if the other processes cannot be reached."""
    try:
        yield
    except RuntimeError as error:
        raise UsageError('another process of the pipeline has ended: see its message.') from error


@dataclass(frozen=True)
class World:
    """This process among all that run the pipeline.

    Args:
        rank: Global rank.
        size: Number of processes.
        local_rank: Rank on this machine.
        local_size: Number of processes on this machine.
        node: Rank of this machine.
        nodes: Number of machines.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    node: int = 0
    nodes: int = 1

    @property
    def alone(self) -> bool:
        """Whether this process is the only one."""
        return self.size == 1

    def first(self, count: int | None) -> World | None:
        """Return the group of the first processes; None if this process is not a member.

        Args:
            count: Size of the group; None, or more than exist, for all.
        """
        size = self.size if count is None else min(count, self.size)
        if self.rank >= size:
            return None
        begin = self.rank - self.local_rank
        return replace(self, size=size, local_size=min(self.local_size, size - begin))

    def broadcast(self, value: Any) -> Any:
        """Return the value of the first process.

        Args:
            value: Ignored except on the first process.

        Raises:
            UsageError: the first process has ended.
        """
        if self.alone:
            return value
        from torch import distributed

        values = [value]
        with _others():
            distributed.broadcast_object_list(values)
        return values[0]

    def wait_for_all(self) -> None:
        """Wait for all processes.

        Raises:
            UsageError: a process has ended.
        """
        if self.alone:
            return
        from torch import distributed

        with _others():
            distributed.barrier()

    def child_environment(self, port: int) -> dict[str, str]:
        """Return the environment variables that tell a child its rank in the group.

        Args:
            port: Port of the group of children.
        """
        return dict(
            RANK=str(self.rank),
            WORLD_SIZE=str(self.size),
            LOCAL_RANK=str(self.local_rank),
            LOCAL_WORLD_SIZE=str(self.local_size),
            MASTER_ADDR=os.environ.get('MASTER_ADDR', '127.0.0.1'),
            MASTER_PORT=str(port),
            # else they would meet where their parents have met
            TORCHELASTIC_USE_AGENT_STORE='False',
        )


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as sock:
        sock.bind(('', 0))
        return sock.getsockname()[1]


def _slurm_environment() -> dict[str, str]:
    """Return the variables of torchrun from those of Slurm."""
    env = os.environ
    size = env['SLURM_NTASKS']
    nodes = env.get('SLURM_NNODES') or env.get('SLURM_JOB_NUM_NODES') or '1'
    # '4(x2),3' stands for 4, 4 and 3 tasks
    tasks = re.match(r'\d+', env.get('SLURM_TASKS_PER_NODE', size))
    address = env.get('MASTER_ADDR')
    if address is None:
        listed = env.get('SLURM_STEP_NODELIST') or env.get('SLURM_NODELIST') or 'localhost'
        address = listed
        if '[' in listed or ',' in listed:
            shown = subprocess.run(
                ['scontrol', 'show', 'hostnames', listed],
                capture_output=True,
                text=True,
                check=True,
            )
            address = shown.stdout.split()[0]
    # every job a port of its own
    port = env.get('MASTER_PORT') or str(20000 + int(env.get('SLURM_JOB_ID', '9500')) % 20000)
    return dict(
        RANK=env['SLURM_PROCID'],
        WORLD_SIZE=size,
        LOCAL_RANK=env['SLURM_LOCALID'],
        LOCAL_WORLD_SIZE=tasks[0] if tasks else size,
        GROUP_RANK=env.get('SLURM_NODEID', '0'),
        GROUP_WORLD_SIZE=nodes,
        MASTER_ADDR=address,
        MASTER_PORT=port,
    )


def join_world(launcher: str) -> World:
    """Connect to the other processes.

    Args:
        launcher: ``none``, ``pytorch`` (torchrun) or ``slurm``.

    Raises:
        UsageError: the processes were not started that way.
    """
    if launcher == 'none':
        return World()
    try:
        if launcher == 'slurm':
            os.environ.update(_slurm_environment())
        env = os.environ
        rank, size, local_rank = (int(env[key]) for key in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'))
    except (KeyError, OSError, subprocess.CalledProcessError) as error:
        starter = dict(pytorch='torchrun', slurm='srun').get(launcher)
        if starter is None:
            raise UsageError(f'--launcher {launcher}: take pytorch (torchrun) or slurm.') from error
        raise UsageError(
            f'--launcher {launcher} needs {starter}, which would have set {error}: start it with '
            f'{starter}.'
        ) from error
    local_size = int(env.get('LOCAL_WORLD_SIZE', size))
    from torch import distributed

    if not distributed.is_initialized():
        # no GPU is touched: the tools need them
        distributed.init_process_group('gloo', timeout=TIMEOUT)
    return World(
        rank=rank,
        size=size,
        local_rank=local_rank,
        local_size=local_size,
        node=int(env.get('GROUP_RANK', rank // local_size)),
        nodes=int(env.get('GROUP_WORLD_SIZE', -(-size // local_size))),
    )
