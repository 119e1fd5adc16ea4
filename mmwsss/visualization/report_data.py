"""What a report is made of: the stages of a pipeline with their figures and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAPS, MASKS, PREDICTIONS = 'maps', 'masks', 'predictions'
# of what can be shown and measured
SUFFIXES = {MAPS: '.npz', MASKS: '.png', PREDICTIONS: '.png'}
# Tableau's ten, which are told apart on white and on black
COLORS = (
    '#1f77b4',
    '#ff7f0e',
    '#2ca02c',
    '#d62728',
    '#9467bd',
    '#8c564b',
    '#e377c2',
    '#7f7f7f',
    '#bcbd22',
    '#17becf',
)


@dataclass(frozen=True)
class StageReport:
    """One executed stage.

    Args:
        name: Its name in the pipeline.
        makes: ``data``, ``checkpoint``, ``maps``, ``labels``, ``masks``, ``predictions``, or ''
            where it is none of these.
        title: What it is, in words.
        seconds: How long it took.
        files: Number of files by split.
        figures: By split what :func:`~mmwsss.evaluation.mask_scores.mask_figures` gives, for
            maps with the background score as ``threshold``.
        curves: CSV file of the threshold curve by split.
        folders: Folder of maps (``.npz``) or masks (``.png``) by split.
        logs: ``scalars.json`` of a training, oldest first; a training that was resumed has
            several.
        commands: What was run.
    """

    name: str
    makes: str
    title: str
    seconds: float
    files: Mapping[str, int]
    figures: Mapping[str, Mapping[str, Any]]
    curves: Mapping[str, Path]
    folders: Mapping[str, Path]
    logs: Sequence[Path]
    commands: Sequence[str]


@dataclass(frozen=True)
class ReportData:
    """A pipeline and its executed stages.

    Args:
        title: Of the pipeline.
        config: Its file.
        classes: Names, background first.
        palette: RGB of every class.
        images: Folder of the images by split.
        masks: Folder of the true masks by split, None where there is none.
        stages: In the order in which they ran.
        versions: Of the packages.
        notes: Sentences to show at the top.

    Raises:
        ValueError: there is another number of colours than of classes.
    """

    title: str
    config: str
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    images: Mapping[str, Path]
    masks: Mapping[str, Path | None]
    stages: Sequence[StageReport]
    versions: Mapping[str, str]
    notes: Sequence[str]

    def __post_init__(self) -> None:
        """Check what would mix up classes without a word."""
        if len(self.classes) != len(self.palette):
            raise ValueError(
                f'ReportData: {len(self.palette)} colours for {len(self.classes)} classes; give '
                'one for each class, background first.'
            )

    def colors(self) -> dict[str, str]:
        """Return the colour of every stage with figures or a curve, those with a curve first."""
        stages = [stage for stage in self.stages if stage.figures or stage.curves]
        stages.sort(key=lambda stage: not stage.curves)
        return {stage.name: COLORS[i % len(COLORS)] for i, stage in enumerate(stages)}

    def has_truth(self, split: str) -> bool:
        """Return whether there is a folder of true masks.

        Args:
            split: The split.
        """
        folder = self.masks.get(split)
        return folder is not None and Path(folder).is_dir()
