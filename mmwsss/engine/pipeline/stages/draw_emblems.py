"""Stage that draws the Emblems data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmwsss.datasets.emblems import DRAWING, SPLITS, EmblemsSettings

from ..registry import STAGES
from ..stage import Command, Stage

if TYPE_CHECKING:
    from ..pipeline import Pipeline


@STAGES.register_module()
class DrawEmblems(Stage):
    """Draw Emblems; a data set that is there is left alone.

    Args:
        name: Of the stage.
        data_root: Folder of the data set.
        settings: Arguments of :class:`~mmwsss.datasets.EmblemsSettings`.
        title: What it is.

    Raises:
        ValueError: the settings are none of Emblems.
    """

    makes = 'data'

    def __init__(
        self,
        name: str,
        *,
        data_root: str,
        settings: dict[str, Any] | None = None,
        title: str | None = None,
    ) -> None:
        try:
            self.drawn = EmblemsSettings(**(settings or {}))
        except TypeError as error:
            raise ValueError(f'settings {settings}: {error}') from error
        self.data_root = data_root
        super().__init__(name, title=title, drawing=DRAWING, **asdict(self.drawn))

    def describe(self) -> str:
        """Return what the stage is."""
        return 'drawing of Emblems'

    def commands(self, pipeline: Pipeline) -> list[Command]:
        """Return the one command.

        Args:
            pipeline: The pipeline.
        """
        words = [self.data_root, '--workers', str(pipeline.workers)]
        default = asdict(EmblemsSettings())
        for key, value in asdict(self.drawn).items():
            if value != default[key]:
                option = 'num-classes' if key == 'num_emblems' else key.replace('_', '-')
                words += [f'--{option}', str(value)]
        return [Command('dataset_converters/make_emblems.py', tuple(words))]

    def total(self, pipeline: Pipeline) -> int:
        """Return the number of images.

        Args:
            pipeline: The pipeline.
        """
        return self.drawn.num_train + self.drawn.num_val

    def files(self, pipeline: Pipeline) -> dict[str, int]:
        """Count the images with masks, by split.

        Args:
            pipeline: The pipeline.
        """
        root = Path(self.data_root)
        counts = dict.fromkeys(SPLITS, 0)
        masks = {path.stem for path in (root / 'SegmentationClass').glob('[!.]*.png')}
        for path in (root / 'JPEGImages').glob('[!.]*.jpg'):
            split = path.stem.rpartition('_')[0]
            if path.stem in masks and split in counts:
                counts[split] += 1
        return counts
