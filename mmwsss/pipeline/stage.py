"""Base class of the stages of a pipeline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mmengine.config import Config
from mmengine.registry import Registry

from mmwsss.errors import UsageError

# add one with custom_imports in the pipeline's config
STAGES = Registry('stage', scope='mmseg', locations=['mmwsss.pipeline.stages'])
WORDS = dict(
    checkpoint='trains a model', maps='makes maps', labels='makes labels', masks='makes masks'
)
# processes that run a command: the first, the first of each machine, all together
ONCE, NODES, RANKS = 'once', 'nodes', 'ranks'


@dataclass(frozen=True)
class Command:
    """A command line of a tool.

    Args:
        tool: Path within the folder of the tools.
        words: Arguments.
        spread: ``once`` runs it on the first process, ``nodes`` on one process per machine with
            ``--share``, ``ranks`` on all processes with ``--launcher``.
        processes: For ``ranks``, the number of processes to use; all by default.
        config: Complete config of the tool; written to the file of the first argument before the
            tool runs.
    """

    tool: str
    words: tuple[str, ...]
    spread: str = ONCE
    processes: int | None = None
    config: Config | None = None


def count_files(folder: Path, suffix: str) -> int:
    """Return the number of finished files in a folder; 0 if it does not exist.

    Args:
        suffix: File extension, with the dot.
    """
    try:
        with os.scandir(folder) as entries:
            return sum(e.name.endswith(suffix) and not e.name.startswith('.') for e in entries)
    except FileNotFoundError:
        return 0


class Stage:
    """A stage of a pipeline: commands that write files to the folder of the stage.

    A stage of your own derives from this class and is registered in ``STAGES``; it has to define
    :meth:`commands`. The others may stay as they are: :meth:`inputs`, :meth:`fingerprint`,
    :meth:`outputs` and :meth:`progress`.

    Args:
        name: Name of the stage and of its folder.
        title: Short description; the name of the class by default.
        splits: Splits of the images for which it makes files.
        sources: Name of the source stage of each parameter.
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
    """Whether missing output files can be made again without running the whole stage."""
    pipeline: Any
    """The :class:`Pipeline` that it belongs to, set by that."""

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
        self.title = title or self.type
        self.entry = entry

    @property
    def type(self) -> str:
        """Name of the class."""
        return type(self).__name__

    @property
    def folder(self) -> Path:
        """Folder of its output."""
        return self.pipeline.folder(self.name)

    @property
    def log(self) -> Path:
        """Log file with the output of its commands."""
        return self.folder / f'{self.name}.log'

    def source(self, parameter: str) -> Any:
        """Return the source stage of a parameter.

        Args:
            parameter: The parameter.

        Raises:
            UsageError: there is none of that name before this one.
        """
        name = self.sources[parameter]
        for found in self.pipeline.earlier(self):
            if found.name == name:
                return found
        where = 'comes later' if name in self.pipeline.stages else 'does not exist'
        raise UsageError(
            f'stage {self.name}: {parameter}={name!r} {where}: name one of the stages before it.'
        )

    def check(self) -> None:
        """Refuse settings that cannot work, before anything runs.

        Raises:
            UsageError: there is no such split, no such stage before this one, or that stage makes
                something else, or not of these splits.
        """
        there = self.pipeline.splits
        if self.suffix and not self.splits:
            raise UsageError(f'stage {self.name}: splits is empty; name one of {", ".join(there)}.')
        for split in self.splits:
            if split not in there:
                raise UsageError(
                    f'stage {self.name}: there is no split {split!r}, the pipeline has '
                    f'{", ".join(there) or "none"}: correct splits.'
                )
        for parameter, name in self.sources.items():
            kinds = self.takes[parameter]
            source = self.source(parameter)
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

    def inputs(self) -> list[str]:
        """Return the names of the stages on which this one depends."""
        drawn = [stage.name for stage in self.pipeline.earlier(self) if stage.makes == 'data']
        return list(dict.fromkeys([*drawn, *self.sources.values()]))

    def fingerprint(self) -> dict[str, Any]:
        """Return all settings that determine the output, without those of other stages.

        Returns:
            Sections, ``entry`` and any others.
        """
        return dict(entry={**self.entry, **self.sources, 'splits': self.splits})

    def prepare(self) -> None:
        """Clean up after an earlier, interrupted run."""

    def commands(self) -> list[Command]:
        """Return the commands that produce the missing output."""
        raise NotImplementedError

    def outputs(self) -> dict[str, Any]:
        """Return the existing output for the manifest: the number of ``files`` by split."""
        counts = {split: count_files(self.folder / split, self.suffix) for split in self.splits}
        return dict(files=counts)

    def progress(self) -> tuple[int, int | None]:
        """Return the completed and the total amount of work; None if unknown."""
        return sum(self.outputs()['files'].values()), None

    def amount(self) -> str:
        """Return the total amount of work as text; ``''`` if unknown."""
        total = self.progress()[1]
        return '' if total is None else f'{total:,} {self.unit}'

    def notes(self) -> list[str]:
        """Return sentences for the report of a finished stage."""
        return []
