"""Plan of a pipeline: the state of each stage, and what has to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmwsss.errors import UsageError

from .digests import differences, digest, plain
from .manifests import MANIFEST, STARTED, read_record
from .pipeline import Pipeline
from .stage import Stage

# what there is of a stage
FINISHED, STOPPED, INCOMPLETE, CHANGED, MISSING = (
    'finished',
    'stopped',
    'incomplete',
    'changed',
    'missing',
)
# what is done
SKIP, GO_ON, RUN = 'skip', 'go on', 'run'
ACTIONS = {FINISHED: SKIP, STOPPED: GO_ON, INCOMPLETE: GO_ON, CHANGED: RUN, MISSING: RUN}


@dataclass(frozen=True)
class Step:
    """A stage in a plan.

    Args:
        stage: The stage.
        state: State of the stage.
        why: What changed, or the progress.
        digest: Hash of its settings and inputs.
        settings: All settings that determine its output.
        record: Its manifest, or the record of its start.
    """

    stage: Stage
    state: str
    why: str
    digest: str
    settings: dict[str, Any]
    record: dict[str, Any] | None

    @property
    def action(self) -> str:
        """``skip``, ``go on`` or ``run``."""
        return ACTIONS[self.state]


def _settings(stage: Stage) -> dict[str, Any]:
    return {key: value for key, value in plain(stage.fingerprint()).items() if value != {}}


def _changes(stage: Stage, record: dict, settings: dict, before: dict[str, Step]) -> str:
    """Describe why the files of a stage are out of date; ``''`` if they are not."""
    if own := differences(record['settings'], settings):
        return own
    for name, entry in record['inputs'].items():
        step = before.get(name)
        if step is None:
            return f'{name} is no longer what it depends on'
        if step.action == RUN or not step.record:
            return f'{name} ran again'
        if (step.digest, step.record['run']) != (entry['digest'], entry['run']):
            return f'{name} ran again'
    new = [name for name in before if name not in record['inputs']]
    return f'it depends on {new[0]}, too' if new else ''


def _lacking(stage: Stage, record: dict) -> str:
    """Describe the missing output of a finished stage; ``''`` if it is complete."""
    if name := record.get('checkpoint'):
        return '' if (stage.folder / name).is_file() else f'{name} is missing'
    files = record['files']
    if not files:
        return ''
    there = stage.outputs()['files']
    gone = sum(max(0, n - there.get(split, 0)) for split, n in files.items())
    return f'{gone:,} of {sum(files.values()):,} files are missing' if gone else ''


def _state(stage: Stage, changes: str, record: dict | None) -> tuple[str, str]:
    """Return the state of a stage, and its progress or what changed."""
    if record is None:
        return MISSING, ''
    if changes:
        return CHANGED, changes
    if 'finished' in record:
        lacking = _lacking(stage, record)
        if not lacking:
            return FINISHED, ''
        return (INCOMPLETE if stage.mends else CHANGED), lacking
    done, total = stage.progress()
    of = f' of {total:,}' if total else ''
    return STOPPED, f'at {done:,}{of} {stage.unit}'


def make_plan(pipeline: Pipeline) -> list[Step]:
    """Determine the state of each stage.

    Args:
        pipeline: The pipeline, checked.

    Raises:
        UsageError: data are missing, or the record of a stage is damaged.
    """
    steps: dict[str, Step] = {}
    for name, stage in pipeline.stages.items():
        settings = _settings(stage)
        before = {source: steps[source] for source in stage.inputs()}
        inputs = {source: step.digest for source, step in before.items()}
        record = read_record(stage.folder / MANIFEST) or read_record(stage.folder / STARTED)
        changes = '' if record is None else _changes(stage, record, settings, before)
        state, why = _state(stage, changes, record)
        steps[name] = Step(stage, state, why, digest([settings, inputs]), settings, record)
    return list(steps.values())


def limit_plan(
    steps: list[Step], first: str | None = None, last: str | None = None
) -> tuple[list[Step], list[Step]]:
    """Return the steps up to ``--until``, with those after ``--from`` set to run again.

    Args:
        steps: Of all stages.
        first: First stage to run again.
        last: Last stage to run.

    Raises:
        UsageError: there is no such stage, they are in the wrong order, or what precedes is not
            finished.
    """
    names = [step.stage.name for step in steps]
    for option, name in (('--from', first), ('--until', last)):
        if name is not None and name not in names:
            raise UsageError(f'{option}: there is no stage {name!r}, there are {", ".join(names)}.')
    begin = len(names) if first is None else names.index(first)
    end = len(names) if last is None else names.index(last) + 1
    if first is not None and begin >= end:
        raise UsageError(f'--from {first} comes after --until {last}: name another stage.')
    for step in steps[:begin] if first is not None else ():
        if step.action != SKIP:
            raise UsageError(
                f'--from {first} needs what precedes it, but {step.stage.name} is '
                f'{describe_state(step)}: leave out --from, or name an earlier stage.'
            )
    return steps[:end], steps[begin:end]


def describe_state(step: Step) -> str:
    """Return the state of a stage as text.

    Args:
        step: The stage in the plan.
    """
    if step.state == STOPPED:
        return f'stopped {step.why}'
    return f'{step.state}: {step.why}' if step.why else step.state
