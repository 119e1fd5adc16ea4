"""What all stages of a pipeline have in common."""

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
        config: What is written into the file that the first argument names, before the tool
            runs: all settings of the tool, whatever their values.
    """

    tool: str
    words: tuple[str, ...]
    spread: str = ONCE
    processes: int | None = None
    config: Config | None = None


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
    :meth:`commands`. The others may stay as they are: :meth:`inputs`, :meth:`fingerprint`,
    :meth:`outputs` and :meth:`progress`.

    Args:
        name: Of the stage, and of its folder.
        title: What it is, in a few words (the name of the class).
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
        """Folder of all that it makes."""
        return self.pipeline.folder(self.name)

    @property
    def log(self) -> Path:
        """File with all that its commands print."""
        return self.folder / f'{self.name}.log'

    def source(self, parameter: str) -> Any:
        """Return the stage that a parameter names.

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
        """Return the names of the stages that this one depends on."""
        drawn = [stage.name for stage in self.pipeline.earlier(self) if stage.makes == 'data']
        return list(dict.fromkeys([*drawn, *self.sources.values()]))

    def fingerprint(self) -> dict[str, Any]:
        """Return all that decides what this stage makes, other stages left out.

        Returns:
            Sections, ``entry`` and any others.
        """
        return dict(entry={**self.entry, **self.sources, 'splits': self.splits})

    def prepare(self) -> None:
        """Make ready what an earlier, stopped run left."""

    def commands(self) -> list[Command]:
        """Return the command lines that make what is missing."""
        raise NotImplementedError

    def outputs(self) -> dict[str, Any]:
        """Return what there is for the manifest: the number of ``files`` by split."""
        counts = {split: count_files(self.folder / split, self.suffix) for split in self.splits}
        return dict(files=counts)

    def progress(self) -> tuple[int, int | None]:
        """Return how much is done and how much there is to do, None where that is not known."""
        return sum(self.outputs()['files'].values()), None

    def amount(self) -> str:
        """Return how much there is to do in words, '' where that is not known."""
        total = self.progress()[1]
        return '' if total is None else f'{total:,} {self.unit}'

    def notes(self) -> list[str]:
        """Return sentences for the report, once the stage is finished."""
        return []
