"""Figures of a report as the cells, bars and sentences that its page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .report_data import MAPS, MASKS, PREDICTIONS, ReportData, StageReport

_RATES = {'m_FP': ('m_FP', '.3f'), 'm_FN': ('m_FN', '.3f'), 'background score': ('threshold', 'g')}


class Column(NamedTuple):
    """A column of numbers.

    Args:
        group: Heading that neighbouring columns share.
        name: Heading of its own.
        cells: One a row, empty where there is nothing to say.
    """

    group: str
    name: str
    cells: list[str]


class StageTable(NamedTuple):
    """The table of all stages.

    Args:
        groups: Headings that columns share, with the number of columns.
        columns: Columns of numbers.
        names: Name of every stage.
        what: What each is.
        final: Row of the final figure, None where there is none.
        total: Time of all stages.
    """

    groups: list[tuple[str, int]]
    columns: list[Column]
    names: list[str]
    what: list[str]
    final: int | None
    total: str


class ClassBars(NamedTuple):
    """The bars of a class.

    Args:
        name: Of the class.
        values: IoU of every stage in per cent; None where the class does not occur.
    """

    name: str
    values: list[float | None]


def duration(seconds: float) -> str:
    """Return a time in words.

    Args:
        seconds: The time.

    Example:
        >>> duration(4.21), duration(64), duration(3725)
        ('4.2 s', '1 min 04 s', '1 h 02 min')
    """
    if seconds < 9.95:
        return f'{seconds:.1f} s'
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f'{rest} s'
    if minutes < 60:
        return f'{minutes} min {rest:02d} s'
    hours, minutes = divmod(round(seconds / 60), 60)
    return f'{hours:,} h {minutes:02d} min'


def listing(names: Sequence[str]) -> str:
    """Return names as a sentence lists them.

    Args:
        names: At least one.

    Example:
        >>> listing(['maps', 'walks', 'masks'])
        'maps, walks and masks'
    """
    *others, last = names
    return f'{", ".join(others)} and {last}' if others else last


def _number(figures: Mapping[str, Any] | None, key: str, form: str) -> str:
    value = (figures or {}).get(key)
    return '' if value is None else f'{value:{form}}'


def all_splits(data: ReportData) -> list[str]:
    """Return the splits in the order of the pipeline.

    Args:
        data: The pipeline.
    """
    found = [key for stage in data.stages for key in (*stage.figures, *stage.files)]
    return list(dict.fromkeys([*data.images, *found]))


def measured(data: ReportData, split: str) -> list[StageReport]:
    """Return the stages with a mIoU on a split.

    Args:
        data: The pipeline.
        split: The split.
    """
    return [s for s in data.stages if s.figures.get(split, {}).get('mIoU') is not None]


def final_stage(data: ReportData, split: str) -> StageReport | None:
    """Return the stage whose figure is the result: the last test, else the last with a figure.

    Args:
        data: The pipeline.
        split: On which it is measured.
    """
    stages = measured(data, split)
    stages = [stage for stage in stages if stage.makes == PREDICTIONS] or stages
    return stages[-1] if stages else None


def stage_table(data: ReportData, split: str) -> StageTable:
    """Return the figures, files and times of all stages; columns without a value are left out.

    Args:
        data: The pipeline.
        split: Whose over- and under-activation to show.
    """
    stages, splits = data.stages, all_splits(data)
    columns = [
        Column('mIoU (%)', name, [_number(s.figures.get(name), 'mIoU', '.2f') for s in stages])
        for name in splits
    ]
    columns += [
        Column(f'on {split}', name, [_number(s.figures.get(split), key, form) for s in stages])
        for name, (key, form) in _RATES.items()
    ]
    columns += [
        Column('files', name, [f'{s.files[name]:,}' if name in s.files else '' for s in stages])
        for name in splits
    ]
    columns = [column for column in columns if any(column.cells)]
    columns.append(Column('', 'time', [duration(stage.seconds) for stage in stages]))
    groups: dict[str, int] = {}
    for column in columns:
        groups[column.group] = groups.get(column.group, 0) + 1
    final = final_stage(data, split)
    return StageTable(
        groups=list(groups.items()),
        columns=columns,
        names=[stage.name for stage in stages],
        what=[stage.title for stage in stages],
        final=None if final is None else list(stages).index(final),
        total=duration(sum(stage.seconds for stage in stages)),
    )


def class_bars(data: ReportData, split: str) -> list[ClassBars]:
    """Return the IoU of every class at each stage that was measured.

    Args:
        data: The pipeline.
        split: On which.
    """
    rates = [stage.figures[split].get('classes', {}) for stage in measured(data, split)]
    bars = [
        ClassBars(name, [classes.get(name, {}).get('IoU') for classes in rates])
        for name in data.classes
    ]
    return bars if any(rates) else []


def final_sentence(data: ReportData, split: str) -> tuple[str, str]:
    """Return the final figure and the sentence that it begins.

    Args:
        data: The pipeline.
        split: On which it is measured.
    """
    final = final_stage(data, split)
    if final is None:
        reason = 'no stage was compared with the true masks'
        if not data.has_truth(split):
            reason = 'it has no true masks'
        return '', f'There is no mIoU on {split}: {reason}.'
    figure = f'{final.figures[split]["mIoU"]:.2f} %'
    if final.makes == PREDICTIONS:
        return figure, f'mIoU of the final model on {split}, without image tags.'
    return figure, f'mIoU of {final.name} on {split}; a final model has not been tested there.'


def _tag_notes(data: ReportData) -> list[str]:
    """Say which stages know the tags of an image."""
    tagged = [stage.name for stage in data.stages if stage.makes in (MAPS, MASKS)]
    free = [stage.name for stage in data.stages if stage.makes == PREDICTIONS]
    notes = []
    if tagged:
        verb = 'uses' if len(tagged) == 1 else 'use'
        notes.append(
            f'{listing(tagged)} {verb} the tags of the images, at test time too: a class that an '
            'image is not tagged with cannot appear there.'
        )
    if free:
        verb = 'sees' if len(free) == 1 else 'see'
        notes.append(f'{listing(free)} {verb} the images alone, without tags.')
    return notes


def _figure_notes(stages: Sequence[StageReport], split: str) -> list[str]:
    """Say what the figures of stages mean."""
    figures = {stage.name: stage.figures[split] for stage in stages}
    notes = []
    if any(figure.get('threshold') is not None for figure in figures.values()):
        notes.append(
            'Maps are measured at the background score with the highest mIoU, which is found with '
            'the same true masks.'
        )
    if figures:
        notes.append(
            'm_FP and m_FN: falsely found and missed pixels of a class for each correct one, mean '
            'of the classes; lower is better.'
        )
    if any(
        figure.get('mIoU_present', figure['mIoU']) != figure['mIoU'] for figure in figures.values()
    ):
        notes.append('A class that occurs neither in the true masks nor in a stage counts as 0.')
    notes += [
        f'{figure["undecided"]:.2f} % of the pixels of {name} have no class; they count as missed.'
        for name, figure in figures.items()
        if figure.get('undecided')
    ]
    return notes


def table_notes(data: ReportData, split: str) -> list[str]:
    """Return the sentences that the table needs to be read rightly.

    Args:
        data: The pipeline.
        split: On which over- and under-activation are measured.
    """
    notes = [*_tag_notes(data), *_figure_notes(measured(data, split), split)]
    unmeasured = [name for name in data.images if not data.has_truth(name)]
    if unmeasured:
        notes.append(f'{listing(unmeasured)}: no true masks, so nothing is measured there.')
    return notes
