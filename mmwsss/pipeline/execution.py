"""The stages of a plan, one after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mmwsss.errors import UsageError

from .children import command_line, readable
from .display import MARGIN, Meter, clock, figures_text, say
from .evaluation import evaluate, truths, unevaluated
from .manifests import MANIFEST, STARTED, new_record, unwritable, versions, write_json
from .pipeline import Pipeline
from .plan import CHANGED, GO_ON, INCOMPLETE, SKIP, STOPPED, Step
from .stage import Command, Stage
from .tasks import Task, lead
from .tool_configs import write_config
from .world import World

REPLACED = 'replaced'
DELAY = 60.0  # seconds until a machine sees the files of another one


def move_away(pipeline: Pipeline, name: str) -> Path | None:
    """Move the folder of a stage to where nothing is lost and nobody reads it.

    Args:
        pipeline: The pipeline.
        name: Of the stage.

    Returns:
        The new folder, None where there was none.

    Raises:
        UsageError: it cannot be moved.
    """
    folder = pipeline.folder(name)
    if not folder.exists():
        return None
    replaced = pipeline.work_dir / REPLACED
    number = 1
    while (target := replaced / f'{name}-{number}').exists():
        number += 1
    try:
        replaced.mkdir(exist_ok=True)
        os.rename(folder, target)
    except OSError as error:
        raise unwritable(replaced, error) from error
    return target


class Execution:
    """Runs the steps of a plan, and says how it goes on.

    Args:
        pipeline: The pipeline.
        world: All processes, of which this is the first.
    """

    def __init__(self, pipeline: Pipeline, world: World) -> None:
        self.pipeline, self.world = pipeline, world
        # open files that the tools share
        self.inherited: Sequence[int] = ()
        self.records: dict[str, dict[str, Any]] = {}
        self.current = ''
        self.unevaluated: dict[str, str] = {}

    def run(self, steps: Sequence[Step], count: int) -> None:
        """Do what each step says.

        Args:
            steps: The plan.
            count: Number of all stages.

        Raises:
            UsageError: a stage failed.
        """
        for number, step in enumerate(steps, start=1):
            name = step.stage.name
            self.current = name
            head = f'[{number}/{count}] {name}: '
            if step.action == SKIP:
                self.records[name] = step.record or {}
                self._skip(head, step)
                continue
            self._run(head, step)

    def _skip(self, head: str, step: Step) -> None:
        name = step.stage.name
        if self._update_figures(step.stage):
            write_json(self.pipeline.folder(name) / MANIFEST, self.records[name])
        figures = figures_text(self.records[name]['figures'])
        say(f'{head}finished before{", " + figures if figures else ""}')

    def _run(self, head: str, step: Step) -> None:
        stage, pipeline = step.stage, self.pipeline
        amount = stage.amount()
        say(f'{head}{stage.title}{f" ({amount})" if amount else ""}')
        self._say_why(step)
        record = self._begin(step)
        commands = stage.commands()
        try:
            stage.prepare()
            for command in commands:
                if command.config is not None:
                    write_config(command.config, Path(command.words[0]))
        except OSError as error:
            raise unwritable(stage.folder, error) from error
        for command in commands:
            self._command(stage, command)
        outputs = self._finished(stage)
        record.update(
            stage=stage.name,
            type=stage.type,
            title=stage.title,
            figures={},
            evaluated={},
            commands=[command_line(pipeline.tools / c.tool, c.words) for c in commands],
            **outputs,
        )
        self.records[stage.name] = record
        self._update_figures(stage)
        record['seconds'] += time.time() - record.pop('began')
        record.update(versions=versions(), finished=datetime.now().astimezone().isoformat())
        write_json(stage.folder / MANIFEST, record)
        (stage.folder / STARTED).unlink(missing_ok=True)
        figures = figures_text(record['figures'])
        say(f'{MARGIN}{clock(record["seconds"])}{", " + figures if figures else ""}')

    def _say_why(self, step: Step) -> None:
        name = step.stage.name
        if step.action == GO_ON:
            how = 'goes on' if step.state == STOPPED else 'is mended'
            say(f'{MARGIN}{name} {how}: {step.why.removeprefix("at ")}')
            return
        moved = move_away(self.pipeline, name)
        old = f' (old files: {readable(moved)})' if moved else ''
        if step.state == CHANGED:
            say(f'{MARGIN}{name} runs again: {step.why}{old}')
        elif moved:
            say(f'{MARGIN}{name} runs afresh{old}')

    def _begin(self, step: Step) -> dict[str, Any]:
        """Write with what a stage begins; return the record that its manifest will be."""
        folder = step.stage.folder
        now = time.time()
        if step.action == GO_ON and step.record:
            record = dict(step.record)
            log = step.stage.log
            if 'began' in record and log.exists():
                record['seconds'] += max(0.0, log.stat().st_mtime - record['began'])
        else:
            inputs = {
                name: {key: self.records[name][key] for key in ('digest', 'run')}
                for name in step.stage.inputs()
            }
            record = new_record(step.digest, step.settings, inputs)
        record['began'] = now
        record.pop('finished', None)
        write_json(folder / STARTED, record)
        if step.state == INCOMPLETE:
            (folder / MANIFEST).unlink()
        return record

    def _command(self, stage: Stage, command: Command) -> None:
        task = Task(stage.name, replace(command, config=None), stage.log, 0)
        meter = Meter(lambda: stage.progress()[0], stage.progress()[1], stage.unit)
        with meter.shown() as look:
            lead(task, self.pipeline.tools, self.world, look, self.inherited)

    def _finished(self, stage: Stage) -> dict[str, Any]:
        """Refuse to call a stage finished that is not.

        Returns:
            Its outputs.
        """
        total = stage.progress()[1]
        end = time.monotonic() + (DELAY if self.world.nodes > 1 else 0)
        while True:
            outputs = stage.outputs()
            made = sum(outputs['files'].values())
            if not outputs['files'] or total is None or made >= total:
                return outputs
            if time.monotonic() > end:
                break
            time.sleep(1)
        raise UsageError(
            f'stage {stage.name}: {made:,} of {total:,} files were made '
            f'(see {readable(stage.log)}).'
        )

    def _update_figures(self, stage: Stage) -> bool:
        """Compare with true masks what was not, and tell whether there was anything to do."""
        record = self.records[stage.name]
        there = truths(stage)
        for split, sentence in unevaluated(stage).items():
            if split not in self.unevaluated:
                self.unevaluated[split] = sentence
                say(MARGIN + sentence)
        before = {split: record['evaluated'].get(split) for split in there}
        if before == there and record['evaluated'].keys() == there.keys():
            return False
        record['evaluated'] = there
        record['figures'] = {
            split: record['figures'][split]
            if before[split] == there[split]
            else evaluate(stage, split)
            for split in there
        }
        return True
