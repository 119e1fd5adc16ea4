"""Runs a pipeline: checks it, does what is missing, and says what came of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from prettytable import PrettyTable

from mmwsss.cli.first_weights import require_weights
from mmwsss.compat import CheckpointError
from mmwsss.errors import UsageError
from mmwsss.models.pretrained import SCHEME

from .children import command_line, readable
from .display import clock, say
from .execution import Execution, move_away
from .locks import locked
from .pipeline import Pipeline
from .plan import GO_ON, RUN, SKIP, Step, describe_state, limit_plan, make_plan
from .results import final_checkpoint, make_report, results_table, write_results
from .tasks import ToolError, dismiss
from .trainings import latest_checkpoint
from .world import World

TO_DO = {SKIP: 'nothing', GO_ON: 'go on'}


def show_plan(pipeline: Pipeline, first: str | None = None, last: str | None = None) -> None:
    """Print what there is of each stage, what would be done, and by which commands.

    Args:
        pipeline: The pipeline.
        first: Stage with which to begin again.
        last: Stage after which to stop.

    Raises:
        UsageError: the pipeline cannot work.
    """
    pipeline.check()
    steps, again = limit_plan(make_plan(pipeline), first, last)
    _require_weights(pipeline, steps, download=False)
    table = PrettyTable(['stage', 'what there is', 'what is to do'])
    table.align = 'l'
    todo: list[Step] = []
    for step in steps:
        do = 'run again' if step in again else TO_DO.get(step.action, 'run')
        if do != TO_DO[SKIP]:
            todo.append(step)
        table.add_row([step.stage.name, describe_state(step), do])
    say(f'{pipeline.title}, in {readable(pipeline.work_dir)}\n{table.get_string()}')
    for step in todo:
        say(f'\n{step.stage.name}: {step.stage.title}')
        for command in step.stage.commands():
            say(f'  {command_line(pipeline.tools / command.tool, command.words)}')


def run_pipeline(
    pipeline: Pipeline,
    *,
    first: str | None = None,
    last: str | None = None,
    world: World | None = None,
) -> None:
    """Do what is missing of a pipeline; for the first of all processes.

    Args:
        pipeline: The pipeline.
        first: Stage with which to begin again, though it may be finished.
        last: Stage after which to stop.
        world: All processes; the others :func:`follow`.

    Raises:
        UsageError: the pipeline cannot work, or a stage failed.
        SystemExit: it was interrupted.
    """
    world = world or World()
    execution = Execution(pipeline, world)
    try:
        _lead(execution, first, last)
    except KeyboardInterrupt:
        say(
            f'\nStopped{execution.current and " in "}{execution.current}. The same command goes on '
            'from there; what is finished stays.'
        )
        raise SystemExit(130) from None
    except ToolError:
        raise  # the others are at work, and end with this process
    except UsageError:
        dismiss(world)
        raise
    dismiss(world)


def _lead(execution: Execution, first: str | None, last: str | None) -> None:
    begin = time.time()
    pipeline = execution.pipeline
    pipeline.check()
    with locked(pipeline.work_dir) as lock:
        execution.inherited = [lock]
        steps, again = limit_plan(make_plan(pipeline), first, last)
        if again:
            for step in again:
                move_away(pipeline, step.stage.name)
            steps, _ = limit_plan(make_plan(pipeline), None, last)
        say(f'{pipeline.title}, in {readable(pipeline.work_dir)}')
        _require_weights(pipeline, steps, download=True)
        execution.run(steps, len(pipeline.stages))
        _conclude(execution, begin)


def _require_weights(pipeline: Pipeline, steps: Sequence[Step], *, download: bool) -> None:
    """Get the named weights of all trainings that are to begin, before the first of them does."""
    names = []
    for step in steps:
        begins = step.action == RUN or (
            step.action == GO_ON and latest_checkpoint(step.stage.folder) is None
        )
        weights = step.settings.get('weights', {}) if begins else {}
        names += [name for name in weights.values() if name.startswith(SCHEME)]
    try:
        require_weights(names, download=download)
    except CheckpointError as error:
        raise UsageError(str(error)) from error


def _conclude(execution: Execution, begin: float) -> None:
    pipeline, records = execution.pipeline, execution.records
    notes = [*pipeline.notes, *execution.unevaluated.values()]
    say(f'\n{results_table(pipeline, records)}')
    for note in pipeline.notes:
        say(note)
    places: dict[str, Path | None] = dict(
        figures=write_results(pipeline, records),
        report=make_report(pipeline, records, notes),
        model=final_checkpoint(pipeline, records),
    )
    for what, path in places.items():
        if path is not None:
            say(f'{what + ":":9}{readable(path)}')
    if pipeline.apply and len(records) == len(pipeline.stages):
        say(f'apply:   {shlex.join(pipeline.apply)}')
    say(f'This run took {clock(time.time() - begin)}.')
