"""A pipeline: its settings, checked, and where everything of it lies."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mmengine.config import Config

from mmwsss.cli.config_keys import nearest
from mmwsss.cli.launch import read_config
from mmwsss.datasets import LabelFileError
from mmwsss.datasets.class_palettes import ClassPalette, read_classes
from mmwsss.errors import UsageError

from .data import Images, describe, inner_datasets
from .digests import digest
from .stage import STAGES, Stage
from .tool_configs import without

NAME = re.compile(r'[A-Za-z0-9][\w.-]*')
# of the settings of a pipeline
KINDS: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {'stages': (dict,), 'splits': (dict,), 'seed': (int,), 'notes': (list, tuple)}
)
# folders of a pipeline and of a stage
RESERVED = ('replaced', 'logs')


@dataclass(frozen=True)
class Split:
    """Images of a pipeline.

    Args:
        name: In figures and folders.
        split: What the tools' ``--split`` takes.
        images: Folder of the images.
        masks: Folder of the true masks, if there may be any.
        names: Text file with the names that are evaluated (all that are made).
        options: Overrides of the configs that read these images.
    """

    name: str
    split: str
    images: str
    masks: str | None = None
    names: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Pipeline:
    """Stages with all that they share.

    Args:
        cfg: Config of the pipeline: ``stages``, ``splits``, ``classes``, and if need be ``title``,
            ``seed``, ``data_root``, ``notes`` (sentences for the report) and ``apply`` (the
            command line that applies the final model).
        work_dir: Folder of all results.
        tools: Folder of the tools.
        seed: Of all trainings, in place of that of the config.
        workers: Processes that work through files.
        processes: Processes that run a model.

    Raises:
        UsageError: a setting is missing or wrong.
    """

    def __init__(
        self,
        cfg: Config,
        work_dir: Path,
        tools: Path,
        *,
        seed: int | None = None,
        workers: int = 1,
        processes: int = 1,
    ) -> None:
        if workers < 1:
            raise UsageError(f'--workers must be at least 1, got {workers}.')
        self.config = str(cfg.filename or '')
        content = cfg.to_dict()
        for key in ('stages', 'splits', 'classes'):
            if not content.get(key):
                raise UsageError(f'The pipeline {self.config} has no {key}; add {key} = ...')
        for key, kinds in KINDS.items():
            if not isinstance(content.get(key) or kinds[0](), kinds):
                raise UsageError(
                    f'The pipeline {self.config} has {key}={content[key]!r} where a '
                    f'{kinds[0].__name__} is expected; correct it.'
                )
        self.title = str(content.get('title') or Path(self.config).stem)
        self.seed = int(content.get('seed') or 0) if seed is None else seed
        self.data_root = content.get('data_root')
        self.class_words = content['classes']
        self.notes = list(content.get('notes') or ())
        self.apply = list(content.get('apply') or ())
        self.work_dir, self.tools = work_dir, tools
        self.workers, self.processes = workers, processes
        self.splits = {name: _make_split(name, entry) for name, entry in content['splits'].items()}
        # one that an inherited config sets to None is left out
        self.stages: dict[str, Stage] = {
            name: _make_stage(name, entry)
            for name, entry in content['stages'].items()
            if entry is not None
        }
        for stage in self.stages.values():
            stage.pipeline = self
        self._images: dict[str, Images] = {}
        self._configs: dict[str, Config] = {}

    def check(self) -> None:
        """Refuse what cannot work, before anything runs.

        Raises:
            UsageError: a stage is wrong, or data are missing that no stage makes.
        """
        for stage in self.stages.values():
            stage.check()
            # a config may be wrong, and data missing
            stage.commands()
            stage.fingerprint()
        if self.makes_data:
            return
        self.classes  # noqa: B018
        for split in self.splits.values():
            if not Path(split.images).is_dir():
                raise UsageError(
                    f'splits.{split.name}.images: there is no folder {split.images}; get the data '
                    'or correct the path.'
                )
            if split.names and not Path(split.names).is_file():
                raise UsageError(
                    f'splits.{split.name}.names: there is no file {split.names}; correct the path.'
                )

    @property
    def makes_data(self) -> bool:
        """Whether a stage makes the data, which need not be there before."""
        return any(stage.makes == 'data' for stage in self.stages.values())

    @cached_property
    def classes(self) -> ClassPalette:
        """Names and colours of the classes, background first.

        Raises:
            UsageError: there are no such classes.
        """
        words = self.class_words
        try:
            if isinstance(words, Mapping):
                return read_classes([], words['data_root'])
            return read_classes([words] if isinstance(words, str) else words)
        except (LabelFileError, KeyError, OSError, ValueError) as error:
            raise UsageError(f'classes: {error}') from error

    @property
    def num_classes(self) -> int | None:
        """Classes with background, None while the data are not made."""
        try:
            return len(self.classes.classes)
        except UsageError:
            return None

    def class_options(self) -> list[str]:
        """Return the options that tell the classes to a tool."""
        words = self.class_words
        if isinstance(words, Mapping):
            return ['--data-root', str(words['data_root'])]
        return ['--classes', *([words] if isinstance(words, str) else words)]

    def folder(self, name: str) -> Path:
        """Return the folder of a stage.

        Args:
            name: Of the stage.
        """
        return self.work_dir / name

    def earlier(self, stage: Stage) -> list[Stage]:
        """Return the stages before a stage.

        Args:
            stage: The stage.
        """
        stages = list(self.stages.values())
        return stages[: stages.index(stage)]

    def tool_config(self, path: str, options: Mapping[str, Any]) -> Config:
        """Return a config of the tools with overrides, not to be changed; each is read once.

        Args:
            path: The file.
            options: By dotted key.

        Raises:
            UsageError: the file is missing or wrong, or an option does not fit it.
        """
        key = json.dumps([path, options], default=repr)
        if key not in self._configs:
            self._configs[key] = read_config(path, options)
        return self._configs[key]

    def images(self, dataset: Mapping[str, Any], *, masks: bool = False) -> Images:
        """Return what the images of a data set are; each is built once.

        Args:
            dataset: Config of the data set. Of one that wraps others, such as
                ``PseudoMaskDataset``, those count.
            masks: Whether its masks count, too; those of a ``PseudoMaskDataset`` never do.

        Raises:
            UsageError: the data are missing or wrong.
        """
        if inner := inner_datasets(dataset):
            masks = masks and dataset['type'] != 'PseudoMaskDataset'
            parts = [self.images(part, masks=masks) for part in inner]
            if len(parts) == 1:
                return parts[0]
            names = tuple(name for part in parts for name in part.names)
            return Images(names, digest([part.digest for part in parts]))
        masks = masks and bool((dataset.get('data_prefix') or {}).get('seg_map_path'))
        unused = ['pipeline', 'test_mode', *([] if masks else ['seg_map_path'])]
        key = json.dumps([without(dataset, unused), masks], default=repr, sort_keys=True)
        if key not in self._images:
            self._images[key] = describe(dataset, masks=masks)
        return self._images[key]


def _make_split(name: str, entry: Mapping[str, Any]) -> Split:
    known = [f.name for f in fields(Split) if f.name != 'name']
    if not isinstance(entry, Mapping):
        raise UsageError(f'splits.{name} is {entry!r}: write dict(split=..., images=...).')
    for key in ('split', 'images'):
        if not entry.get(key):
            raise UsageError(f'splits.{name}: {key} is missing; add {key}=...')
    for key in entry:
        if key not in known:
            raise UsageError(
                f'splits.{name}: there is no {key!r}{nearest(key, known)}; it takes '
                f'{", ".join(known)}.'
            )
    if not NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(f'splits: {name!r} cannot be the name of a folder; take another one.')
    return Split(name, **entry)


def _make_stage(name: str, entry: Mapping[str, Any]) -> Stage:
    where = f'stage {name}'
    if not isinstance(entry, Mapping):
        raise UsageError(f'{where}: {entry!r} where dict(type=...) is expected; correct it.')
    settings = dict(entry, name=name)
    kind = settings.pop('type', None)
    cls = STAGES.get(kind) if isinstance(kind, str) else kind
    if cls is None:
        there = ', '.join(sorted(STAGES.module_dict))
        raise UsageError(f'{where}: there is no type {kind!r}; there are {there}.')
    if not NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(f'{where}: {name!r} cannot be the name of a folder; give another one.')
    parameters = inspect.signature(cls).parameters
    unknown = [key for key in settings if key not in parameters]
    needed = [key for key, p in parameters.items() if p.default is p.empty and key not in settings]
    if unknown or needed:
        problem = f'{needed[0]} is missing' if needed else ''
        if unknown:
            problem = f'there is no {unknown[0]!r}{nearest(unknown[0], parameters)}'
        raise UsageError(f'{where}: {problem}; {kind} takes {", ".join(list(parameters)[1:])}.')
    try:
        return cls(**settings)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f'{where}: {error}') from error
