"""Report of a pipeline as a self-contained HTML file."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from .overlay import IGNORE_COLOR
from .pages import write_page
from .report_curves import loss_plots, threshold_plot
from .report_data import ReportData, StageReport
from .report_pictures import picture_rows
from .report_tables import class_bars, final_sentence, measured, stage_table, table_notes

__all__ = ['ReportData', 'StageReport', 'write_report']


def _contents(data: ReportData, split: str, num_pictures: int) -> dict[str, Any]:
    """Return the variables of the template."""
    return dict(
        data=data,
        split=split,
        when=datetime.now().astimezone(),
        final=final_sentence(data, split),
        table=stage_table(data, split),
        table_notes=table_notes(data, split),
        colors=data.colors(),
        measured=[stage.name for stage in measured(data, split)],
        bars=class_bars(data, split),
        thresholds=threshold_plot(data, split),
        losses=loss_plots(data.stages),
        grid=picture_rows(data, split, num_pictures),
        ignore_color=IGNORE_COLOR,
    )


def write_report(
    path: str | os.PathLike[str], data: ReportData, *, split: str, num_pictures: int = 12
) -> None:
    """Write the scores, curves and pictures of a pipeline as one self-contained page.

    Sections without data are omitted, e.g. scores without ground truth, or pictures of a split
    without files.

    Args:
        path: HTML file, written atomically.
        split: Split whose final score, curves, classes and pictures are shown.
        num_pictures: Maximum number of rows of pictures.

    Raises:
        ValueError: ``num_pictures`` is negative, or a file of a stage is damaged.
    """
    if num_pictures < 0:
        raise ValueError(f'write_report: num_pictures must be at least 0, got {num_pictures}.')
    write_page(path, 'report.html', _contents(data, split, num_pictures))
