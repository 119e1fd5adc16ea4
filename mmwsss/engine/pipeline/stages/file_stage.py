"""What the stages share that turn files of maps into other files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..stage import NODES, Command, Stage

if TYPE_CHECKING:
    from ..pipeline import Pipeline


class FileStage(Stage):
    """A stage that makes a file of each file of maps, on all cores, one command a split."""

    tool = ''
    takes = dict(cams=['maps'])

    def words(self, pipeline: Pipeline, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        return []

    def commands(self, pipeline: Pipeline) -> list[Command]:
        """Return a command for each split.

        Args:
            pipeline: The pipeline.
        """
        found = []
        for split in self.splits:
            words = [str(pipeline.folder(self.sources['cams']) / split)]
            words += ['--images', pipeline.splits[split].images]
            words += ['--out-dir', str(pipeline.folder(self.name) / split)]
            words += [*self.words(pipeline, split), '--workers', str(pipeline.workers)]
            found.append(Command(self.tool, tuple(words), NODES))
        return found

    def total(self, pipeline: Pipeline) -> int | None:
        """Return the number of files of maps, None while they are not there.

        Args:
            pipeline: The pipeline.
        """
        files = pipeline.source(self, 'cams').files(pipeline)
        return sum(files[split] for split in self.splits) or None
