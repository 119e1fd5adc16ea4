"""What a pipeline gives in the end: a table, a file of figures, a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prettytable import PrettyTable

from mmwsss.errors import UsageError
from mmwsss.visualization.report import ReportData, StageReport, write_report

from .display import clock, number
from .evaluation import curve_path
from .manifests import versions, write_json
from .pipeline import Pipeline

RESULTS, REPORT = 'results.json', 'report.html'
Records = Mapping[str, Mapping[str, Any]]


def results_table(pipeline: Pipeline, records: Records) -> str:
    """Return the table of all stages that are finished, mIoU in per cent.

    Args:
        pipeline: The pipeline.
        records: Manifests by stage.
    """
    splits = [
        split
        for split in pipeline.splits
        if any(split in record['figures'] for record in records.values())
    ]
    table = PrettyTable(['stage', 'what', 'time', *(f'mIoU {split}' for split in splits)])
    table.align['stage'] = table.align['what'] = 'l'
    table.align.update({name: 'r' for name in table.field_names[2:]})
    for name, record in records.items():
        figures = [record['figures'].get(split) for split in splits]
        cells = ['' if found is None else number(found['mIoU']) for found in figures]
        table.add_row([name, record['title'], clock(record['seconds']), *cells])
    return table.get_string()


def final_checkpoint(pipeline: Pipeline, records: Records) -> Path | None:
    """Return the last model that was trained, None where there is none.

    Args:
        pipeline: The pipeline.
        records: Manifests by stage.
    """
    paths = [
        pipeline.folder(name) / record['checkpoint']
        for name, record in records.items()
        if 'checkpoint' in record
    ]
    return paths[-1] if paths else None


def write_results(pipeline: Pipeline, records: Records) -> Path:
    """Write the figures of all stages, and return the file.

    Args:
        pipeline: The pipeline.
        records: Manifests by stage.

    Raises:
        UsageError: the file cannot be written.
    """
    keys = ('type', 'title', 'seconds', 'files', 'figures')
    checkpoint = final_checkpoint(pipeline, records)
    content = dict(
        title=pipeline.title,
        config=pipeline.config,
        seed=pipeline.seed,
        checkpoint=None if checkpoint is None else str(checkpoint),
        classes=dict(names=pipeline.classes.classes, palette=pipeline.classes.palette),
        splits={s.name: dict(images=s.images, masks=s.masks) for s in pipeline.splits.values()},
        stages={
            name: dict(makes=pipeline.stages[name].makes, **{key: record[key] for key in keys})
            for name, record in records.items()
        },
    )
    path = pipeline.work_dir / RESULTS
    write_json(path, content)
    return path


def report_split(pipeline: Pipeline, records: Records) -> str:
    """Return the split that the report shows: that of the last figure, else the last one.

    Args:
        pipeline: The pipeline.
        records: Manifests by stage.
    """
    measured = [split for record in records.values() for split in record['figures']]
    return (measured or list(pipeline.splits))[-1]


def _stage_report(pipeline: Pipeline, name: str, record: Mapping[str, Any]) -> StageReport:
    stage = pipeline.stages[name]
    folder = stage.folder
    curves = {split: curve_path(stage, split) for split in stage.splits}
    return StageReport(
        name=name,
        makes=stage.makes,
        title=record['title'],
        seconds=record['seconds'],
        files=record['files'],
        figures=record['figures'],
        curves={split: path for split, path in curves.items() if path.is_file()},
        folders={split: folder / split for split in stage.splits},
        logs=sorted(folder.glob('*/vis_data/scalars.json')) if 'checkpoint' in record else [],
        commands=record['commands'],
    )


def make_report(pipeline: Pipeline, records: Records, notes: list[str]) -> Path:
    """Write the report, and return the file.

    Args:
        pipeline: The pipeline.
        records: Manifests by stage.
        notes: Sentences to show in it.

    Raises:
        UsageError: a file that it shows is damaged, or it cannot be written.
    """
    splits = pipeline.splits.values()
    masks = {s.name: Path(s.masks) if s.masks and Path(s.masks).is_dir() else None for s in splits}
    path = pipeline.work_dir / REPORT
    data = ReportData(
        title=pipeline.title,
        config=pipeline.config,
        classes=pipeline.classes.classes,
        palette=pipeline.classes.palette,
        images={split.name: Path(split.images) for split in splits},
        masks=masks,
        stages=[_stage_report(pipeline, name, record) for name, record in records.items()],
        versions=versions(),
        notes=[*notes, *(n for name in records for n in pipeline.stages[name].notes())],
    )
    try:
        write_report(path, data, split=report_split(pipeline, records))
    except (OSError, ValueError) as error:
        raise UsageError(f'the report {path} cannot be made: {error}') from error
    return path
