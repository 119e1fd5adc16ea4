"""Runs the commands of a stage on one or all processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mmwsss.errors import UsageError

from .children import Child, readable
from .stage import NODES, RANKS, Command
from .world import World, free_port


class ToolError(UsageError):
    """A tool that failed while the other processes were at work."""


class Task(NamedTuple):
    """A command, sent to all processes.

    Args:
        stage: Name of the stage.
        command: The command.
        log: File for its output.
        port: Port of the group of children.
    """

    stage: str
    command: Command
    log: Path
    port: int


def _group(task: Task, world: World) -> World | None:
    """Return the group that runs a command; None if this process is not a member."""
    if task.command.spread == RANKS:
        return world.first(task.command.processes)
    leads = world.local_rank == 0 if task.command.spread == NODES else world.rank == 0
    return world if leads else None


def _words(task: Task, group: World) -> tuple[str, ...]:
    # in front, since the last option of a command may take any number of words
    if task.command.spread == RANKS and not group.alone:
        return ('--launcher', 'pytorch', *task.command.words)
    if task.command.spread == NODES and group.nodes > 1:
        return ('--share', str(group.node), str(group.nodes), *task.command.words)
    return task.command.words


def perform(
    task: Task,
    tools: Path,
    world: World,
    *,
    look: Callable[[], None] = lambda: None,
    inherited: Sequence[int] = (),
) -> None:
    """Run the part of this process in a task, and wait for the others.

    Args:
        task: The task.
        tools: Folder of the tools.
        world: All processes.
        look: Called now and then.
        inherited: Open files that the child shares.

    Raises:
        ToolError: the tool failed.
    """
    group = _group(task, world)
    if group is not None:
        log = task.log.with_suffix(f'.rank{world.rank}.log') if world.rank else task.log
        environment = {}
        if task.command.spread == RANKS and not group.alone:
            environment = group.child_environment(task.port)
        child = Child(
            tools / task.command.tool,
            _words(task, group),
            log,
            environment=environment,
            inherited=inherited,
        )
        try:
            status = child.wait(look)
        finally:
            child.end()
        if status:
            where = f' in process {world.rank}' if world.rank else ''
            said = child.sentence()
            if status < 0:
                said = f'it was killed by signal {-status}, perhaps for want of memory.'
            raise ToolError(f'stage {task.stage} failed{where}: {said} (see {readable(log)})')
    world.wait_for_all()


def lead(
    task: Task,
    tools: Path,
    world: World,
    look: Callable[[], None],
    inherited: Sequence[int],
) -> None:
    """Run a task on all processes; called by the first process.

    Args:
        task: The task.
        tools: Folder of the tools.
        world: All processes.
        look: Called now and then.
        inherited: Open files that the child shares.

    Raises:
        ToolError: the tool failed.
    """
    task = world.broadcast(task._replace(port=0 if world.alone else free_port()))
    perform(task, tools, world, look=look, inherited=inherited)


def follow(tools: Path, world: World) -> None:
    """Run the tasks of the first process until it ends; called by all other processes.

    Args:
        tools: Folder of the tools.
        world: All processes.

    Raises:
        UsageError: a tool failed, or another process ended.
    """
    while (task := world.broadcast(None)) is not None:
        perform(task, tools, world)


def dismiss(world: World) -> None:
    """Tell the other processes to stop waiting for tasks.

    Args:
        world: All processes.
    """
    with suppress(UsageError):
        world.broadcast(None)
