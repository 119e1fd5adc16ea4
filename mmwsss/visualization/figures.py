"""Figures with Matplotlib: grids of pictures and threshold curves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmwsss.utils import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float, **gaps: Any) -> Figure:
    """Return an empty figure with constrained layout.

    Args:
        width: Width in inches.
        height: Height in inches.
        **gaps: Arguments of Matplotlib's ``ConstrainedLayoutEngine``.
    """
    # not pyplot, which selects a GUI backend and keeps every figure
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(**gaps))


def picture_grid(
    rows: Sequence[Sequence[np.ndarray | None]],
    titles: Sequence[str],
    *,
    row_titles: Sequence[str] | None = None,
    cell: float = 2.0,
) -> Figure:
    """Arrange pictures in a grid, e.g. with one row per image and one column per method.

    Args:
        rows: Pictures ``(H, W, 3)`` or ``(H, W)`` uint8; None leaves a cell empty.
        titles: Titles of the columns.
        row_titles: Titles of the rows, such as the classes of the image.
        cell: Width of a column in inches.

    Raises:
        ValueError: there are no rows, or the numbers of pictures and titles differ.
    """
    if not rows or not titles or any(len(row) != len(titles) for row in rows):
        raise ValueError(
            f'picture_grid: every row must have {len(titles)} pictures, one per title, got '
            f'{[len(row) for row in rows]}.'
        )
    if row_titles is not None and len(row_titles) != len(rows):
        raise ValueError(f'picture_grid: {len(row_titles)} row_titles for {len(rows)} rows.')
    # each row is as high as its tallest picture
    heights = [
        max((x.shape[0] / x.shape[1] for x in row if x is not None), default=1.0) for row in rows
    ]
    width, height = cell * len(titles), cell * sum(heights) + 0.3
    figure = new_figure(width, height, w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
    axes = figure.subplots(
        len(rows), len(titles), squeeze=False, gridspec_kw=dict(height_ratios=heights)
    )
    for i, row in enumerate(rows):
        for axis, picture in zip(axes[i], row, strict=True):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if picture is not None:
                axis.imshow(picture, cmap='gray', vmin=0, vmax=255)
        if row_titles is not None:
            axes[i, 0].set_ylabel(row_titles[i], fontsize=8)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    return figure


def plot_threshold_curves(
    curves: Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]],
) -> Figure:
    """Plot mIoU against the background score and mark the best point of each method.

    Args:
        curves: Thresholds and mIoU in per cent, by method.

    Raises:
        ValueError: ``curves`` is empty, or the lengths of a curve differ.
    """
    if not curves:
        raise ValueError('plot_threshold_curves: there is no curve to plot.')
    figure = new_figure(6.0, 4.0)
    axis = figure.subplots()
    for name, (thresholds, miou) in curves.items():
        if len(thresholds) != len(miou) or not len(miou):
            raise ValueError(
                f'plot_threshold_curves: {name} must have equal numbers of thresholds and values, '
                f'at least one, got {len(thresholds)} and {len(miou)}.'
            )
        best = int(np.argmax(miou))
        label = f'{name}: {miou[best]:.2f} at {thresholds[best]:g}'
        (line,) = axis.plot(thresholds, miou, label=label)
        axis.plot(thresholds[best], miou[best], 'o', color=line.get_color())
    # some methods have their best scores near 0
    positive = [t for thresholds, _ in curves.values() for t in thresholds if t > 0]
    axis.set_xscale('symlog', linthresh=min(positive, default=1))
    axis.set(xlabel='background score', ylabel='mIoU (%)')
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure atomically; the extension sets the format, such as ``.png`` or ``.pdf``."""
    with atomic_write(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:] or 'png', dpi=dpi)
