"""What all stages of a pipeline have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mmwsss.engine.launch import UsageError

if TYPE_CHECKING:
    from .pipeline import Pipeline

WORDS = dict(
    checkpoint='trains a model', maps='makes maps', labels='makes labels', masks='makes masks'
)
# by which processes a command is run: the first, the first of each machine, all together
ONCE, NODES, RANKS = 'once', 'nodes', 'ranks'


@dataclass(frozen=True)
class Command:
    """A command line of a tool.

    Args:
        tool: Path within the folder of the tools.
        words: Its arguments.
        spread: ``once``, ``nodes`` or ``ranks``: by the first process, by one of each machine
            with ``--share``, by all with ``--launcher``.
        processes: How many of all are enough, the first ones (all). For ``ranks``.
    """

    tool: str
    words: tuple[str, ...]
    spread: str = ONCE
    processes: int | None = None


def count_files(folder: Path, suffix: str) -> int:
    """Return the number of finished files in a folder, 0 where there is none.

    Args:
        folder: The folder.
        suffix: Of the files.
    """
    try:
        with os.scandir(folder) as entries:
            return sum(e.name.endswith(suffix) and not e.name.startswith('.') for e in entries)
    except FileNotFoundError:
        return 0


class Stage:
    """A stage of a pipeline: command lines that fill a folder of its own.

    A stage of your own derives from this class and is registered in ``STAGES``; it has to define
    :meth:`commands`, and :meth:`settings` where more than ``entry`` decides what it makes.

    Args:
        name: Of the stage, and of its folder.
        title: What it is, in a few words.
        splits: Of the images that it makes files of.
        sources: Name of the stage that each parameter takes something from.
        **entry: Settings of the stage, for :attr:`entry`.
    """

    makes: ClassVar[str] = ''
    """``data``, ``checkpoint``, ``maps``, ``labels``, ``masks``, ``predictions`` or nothing."""
    takes: ClassVar[Mapping[str, Sequence[str]]] = {}
    """What the stages have to make that the parameters name."""
    suffix: ClassVar[str] = ''
    """Of the files of each split."""
    unit: ClassVar[str] = 'images'
    """What its progress is counted in."""
    mends: ClassVar[bool] = True
    """Whether files that were lost are made again alone."""

    def __init__(
        self,
        name: str,
        *,
        title: str | None = None,
        splits: Sequence[str] = (),
        sources: Mapping[str, str | None] | None = None,
        **entry: Any,
    ) -> None:
        self.name = name
        self.splits = [splits] if isinstance(splits, str) else list(splits)
        self.sources = {key: source for key, source in (sources or {}).items() if source}
        self.title = title or self.describe()
        self.entry = entry

    @property
    def type(self) -> str:
        """Name of the class."""
        return type(self).__name__

    def describe(self) -> str:
        """Return what the stage is where its entry has no title."""
        return self.type

    def notes(self, pipeline: Pipeline) -> list[str]:
        """Return sentences for the report.

        Args:
            pipeline: The pipeline, this stage finished.
        """
        return []

    def check(self, pipeline: Pipeline) -> None:
        """Refuse settings that cannot work, before anything runs.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: there is no such split, no such stage before this one, or that stage makes
                something else, or not of these splits.
        """
        if self.suffix and not self.splits:
            raise UsageError(
                f'stage {self.name}: splits is empty; name one of {", ".join(pipeline.splits)}.'
            )
        for split in self.splits:
            if split not in pipeline.splits:
                raise UsageError(
                    f'stage {self.name}: there is no split {split!r}, the pipeline has '
                    f'{", ".join(pipeline.splits) or "none"}: correct splits.'
                )
        for parameter, name in self.sources.items():
            kinds = self.takes[parameter]
            source = pipeline.source(self, parameter)
            if source.makes not in kinds:
                raise UsageError(
                    f'stage {self.name}: {parameter}={name!r} is a stage {source.type} where one '
                    f'is needed that {WORDS[kinds[0]]}: name another stage.'
                )
            lacking = [
                split for split in self.splits if source.splits and split not in source.splits
            ]
            if lacking:
                raise UsageError(
                    f'stage {self.name}: {name} makes nothing of split {lacking[0]!r}: add it to '
                    f'the splits of {name}, or take it from these.'
                )

    def inputs(self, pipeline: Pipeline) -> list[str]:
        """Return the names of the stages that this one depends on.

        Args:
            pipeline: The pipeline.
        """
        drawn = [stage.name for stage in pipeline.earlier(self) if stage.makes == 'data']
        return list(dict.fromkeys([*drawn, *self.sources.values()]))

    def settings(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return all that decides what this stage makes, other stages left out.

        Args:
            pipeline: The pipeline.

        Returns:
            Sections, ``entry`` and any others.
        """
        return dict(entry={**self.entry, **self.sources, 'splits': self.splits})

    def prepare(self, pipeline: Pipeline) -> None:
        """Make ready what an earlier, stopped run left.

        Args:
            pipeline: The pipeline.
        """

    def commands(self, pipeline: Pipeline) -> list[Command]:
        """Return the command lines that make what is missing.

        Args:
            pipeline: The pipeline.
        """
        raise NotImplementedError

    def total(self, pipeline: Pipeline) -> int | None:
        """Return how much there is to do, None where that is not known.

        Args:
            pipeline: The pipeline.
        """
        return None

    def files(self, pipeline: Pipeline) -> dict[str, int]:
        """Count the files that are there, by split.

        Args:
            pipeline: The pipeline.
        """
        return {
            split: count_files(pipeline.folder(self.name) / split, self.suffix)
            for split in self.splits
        }

    def done(self, pipeline: Pipeline) -> int:
        """Return how much of :meth:`total` is done.

        Args:
            pipeline: The pipeline.
        """
        return sum(self.files(pipeline).values())

    def lacking(self, pipeline: Pipeline, manifest: Mapping[str, Any]) -> str:
        """Say what of a finished stage is no longer there, '' for nothing.

        Args:
            pipeline: The pipeline.
            manifest: Of the finished stage.
        """
        there = self.files(pipeline)
        total = sum(manifest['files'].values())
        gone = sum(max(0, n - there.get(split, 0)) for split, n in manifest['files'].items())
        return f'{gone:,} of {total:,} files are missing' if gone else ''

    def extras(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return what the manifest holds of this stage besides.

        Args:
            pipeline: The pipeline.
        """
        return {}

    def amount(self, pipeline: Pipeline) -> str:
        """Return how much there is to do in words, '' where that is not known.

        Args:
            pipeline: The pipeline.
        """
        total = self.total(pipeline)
        return '' if total is None else f'{total:,} {self.unit}'
