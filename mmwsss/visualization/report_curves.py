"""Threshold curves and losses of a report, as inline SVG."""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmwsss.evaluation.curve_files import read_curve

from .figures import new_figure, plot_threshold_curves
from .report_data import COLORS, ReportData, StageReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMOOTHED_SHARE = 25  # the smoothing window is 1 / 25 of a curve
LOG_SPREAD = 20  # use a log scale if the losses differ by more than this factor


class Line(NamedTuple):
    """An entry of a legend.

    Args:
        color: CSS colour of the line.
        text: Values to show beside the name.
    """

    name: str
    color: str
    text: str


class Plot(NamedTuple):
    """A plot with its legend.

    Args:
        svg: The ``<svg>`` element.
        lines: The legend, rendered by the page because its fonts have glyphs for all names.
    """

    title: str
    svg: str
    lines: list[Line]


def inline_svg(figure: Figure, name: str) -> str:
    """Return a figure as an ``<svg>`` element that uses the text colour of the page for black.

    Args:
        name: Prefix of the element ids, which must be unique in a page.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({'svg.hashsalt': name}):  # deterministic ids
        figure.savefig(buffer, format='svg', transparent=True, metadata={'Date': None})
    svg = buffer.getvalue()
    svg = re.sub(r'<metadata>.*?</metadata>', '', svg[svg.index('<svg') :], flags=re.DOTALL)
    svg = re.sub(r'( id="|href="#|url\(#)', rf'\g<1>{name}-', svg)
    return svg.replace('#000000', 'currentColor')


def threshold_plot(data: ReportData, split: str) -> Plot | None:
    """Return the threshold curves of all stages on a split, None if there are none."""
    curves = {}
    for stage in data.stages:
        if split in stage.curves and Path(stage.curves[split]).is_file():
            curve = read_curve(stage.curves[split])
            curves[stage.name] = curve['threshold'], curve['mIoU']
    if not curves:
        return None
    figure = plot_threshold_curves(curves)
    figure.set_size_inches(7.5, 3.8)
    axis = figure.axes[0]
    axis.legend().remove()
    colors, lines = data.colors(), []
    for i, (name, (thresholds, miou)) in enumerate(curves.items()):
        for line in axis.lines[2 * i : 2 * i + 2]:  # the curve and its best point
            line.set_color(colors[name])
        best = int(np.argmax(miou))
        text = f'{miou[best]:.2f} at {thresholds[best]:g}'
        lines.append(Line(name, colors[name], text))
    axis.spines[['top', 'right']].set_visible(False)
    return Plot('', inline_svg(figure, 'thresholds'), lines)


def _loss_entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a log that contain losses."""
    for text in Path(path).read_text(encoding='utf-8').splitlines():
        try:
            entry = json.loads(text)
        except json.JSONDecodeError:
            continue  # a killed training may leave a partial line
        if 'step' in entry and any('loss' in key for key in entry):
            yield entry


def read_entries(logs: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the log lines of a training that contain losses, sorted by step.

    A later file replaces earlier lines from its first step on, because a resumed training repeats
    the steps after its checkpoint.

    Args:
        logs: ``scalars.json`` files, oldest first.
    """
    entries: list[dict[str, Any]] = []
    for path in filter(os.path.isfile, logs):
        new = sorted(_loss_entries(path), key=lambda entry: entry['step'])
        if new:
            entries = [entry for entry in entries if entry['step'] < new[0]['step']] + new
    return entries


def read_losses(logs: Sequence[Path]) -> dict[str, tuple[NDArray, NDArray]]:
    """Return the losses of a training by name; see :func:`read_entries`.

    Returns:
        Steps and values ``(n,)``, finite values only. The single component of ``loss`` is omitted
        if there is only one.
    """
    entries = read_entries(logs)
    losses = {}
    for key in dict.fromkeys(key for entry in entries for key in entry if 'loss' in key):
        points = [(e['step'], float(e[key])) for e in entries if key in e and math.isfinite(e[key])]
        if points:
            steps, values = np.array(points).T
            losses[key] = steps, values
    parts = [key for key in losses if key != 'loss']
    if len(parts) == 1 and 'loss' in losses:
        del losses[parts[0]]
    return losses


def smooth(values: NDArray) -> NDArray:
    """Return the moving average of a curve, with shorter windows at the ends.

    Shapes:
        values: ``(n,)`` float.
        returns: ``(n,)`` float.

    Example:
        >>> smooth(np.arange(4.0)).tolist()  # too few to smooth
        [0.0, 1.0, 2.0, 3.0]
    """
    reach = len(values) // SMOOTHED_SHARE // 2
    window = np.ones(2 * reach + 1)
    total = np.convolve(np.pad(values, reach), window, 'valid')
    return total / np.convolve(np.pad(np.ones_like(values), reach), window, 'valid')


def _plot_losses(losses: Mapping[str, tuple[NDArray, NDArray]]) -> Figure:
    from matplotlib.ticker import LogLocator

    figure = new_figure(6.0, 3.3)
    axis = figure.subplots()
    for color, (name, (steps, values)) in zip(_cycle(len(losses)), losses.items(), strict=True):
        means = smooth(values)
        if (means != values).any():
            axis.plot(steps, values, color=color, alpha=0.25, linewidth=0.8)
        marker = 'o' if len(values) == 1 else ''
        axis.plot(
            steps, means, color=color, marker=marker, linewidth=2.2 if name == 'loss' else 1.3
        )
    levels = [np.median(values) for _, values in losses.values()]
    if all((values > 0).all() for _, values in losses.values()):
        if max(levels) > LOG_SPREAD * min(levels):
            axis.set_yscale('log', subs=[])
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter('{x:g}')
    axis.set(xlabel='iteration', ylabel='loss')
    axis.grid(alpha=0.3)
    axis.spines[['top', 'right']].set_visible(False)
    return figure


def _cycle(number: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(number)]


def loss_plots(stages: Sequence[StageReport]) -> list[Plot]:
    """Return a plot of the losses of each training that has logs."""
    plots: list[Plot] = []
    for stage in stages:
        losses = read_losses(stage.logs)
        if not losses:
            continue
        svg = inline_svg(_plot_losses(losses), f'losses{len(plots)}')
        lines = [
            Line(name, color, f'{smooth(values)[-1]:.3g}')
            for color, (name, (_, values)) in zip(_cycle(len(losses)), losses.items(), strict=True)
        ]
        plots.append(Plot(stage.name, svg, lines))
    return plots
