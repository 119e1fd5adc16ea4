"""Plots that compare runs: losses, and scores of every stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from .figures import new_figure
from .report_curves import smooth
from .report_data import COLORS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
Curves = Mapping[str, Mapping[str, tuple[NDArray, NDArray]]]


def _draw_curves(
    axis: Any, colors: Mapping[str, str], curves: Mapping[str, tuple[NDArray, NDArray]]
) -> None:
    for run, (steps, values) in curves.items():
        means = smooth(values)
        if (means != values).any():
            axis.plot(steps, values, color=colors[run], alpha=0.25, linewidth=0.8)
        axis.plot(steps, means, color=colors[run], marker='o' if len(values) == 1 else '')
    axis.set(xlabel='iteration', ylabel='loss')


def _draw_figures(
    axis: Any, colors: Mapping[str, str], figures: Mapping[str, Mapping[str, float]]
) -> None:
    # horizontal, because the names are too long for the x axis
    places = list(figures)
    for run, color in colors.items():
        points = [(values[run], i) for i, values in enumerate(figures.values()) if run in values]
        if points:
            axis.plot(*zip(*points, strict=True), 'o', color=color, alpha=0.8)
    axis.set_yticks(range(len(places)), places)
    axis.set_ylim(len(places) - 0.5, -0.5)


def plot_runs(
    runs: Sequence[str], curves: Curves, figures: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> Figure:
    """Plot losses and scores of runs, with one colour per run.

    Args:
        curves: Steps and values ``(n,)`` by title of the panel and run.
        figures: Scores by metric (one panel each), stage and run.

    Raises:
        ValueError: there is nothing to plot.
    """
    titles = [*curves, *figures]
    if not titles:
        raise ValueError('plot_runs: there are no losses or scores to plot.')
    columns = min(COLUMNS, len(titles))
    rows = -(-len(titles) // columns)
    figure = new_figure(4.6 * columns, 3.2 * rows + 0.4)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    colors = {run: COLORS[i % len(COLORS)] for i, run in enumerate(runs)}
    for axis, title in zip(axes, titles, strict=False):
        if title in curves:
            _draw_curves(axis, colors, curves[title])
        else:
            _draw_figures(axis, colors, figures[title])
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
        axis.spines[['top', 'right']].set_visible(False)
    for axis in axes[len(titles) :]:
        axis.remove()
    handles = [axes[0].plot([], [], 'o-', color=colors[run], label=run)[0] for run in runs]
    figure.legend(handles=handles, loc='outside upper left', ncols=4, fontsize=9, frameon=False)
    return figure
