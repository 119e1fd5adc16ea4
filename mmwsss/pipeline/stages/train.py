"""Stage that trains a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmwsss.errors import UsageError

from ..data import weight_digests
from ..schedules import ITERATIONS, schedule_options
from ..sources import source_options
from ..stage import RANKS, STAGES, Command, Stage
from ..tool_configs import (
    data_root_options,
    find_config,
    flat_options,
    training_part,
)
from ..trainings import iterations_done, latest_checkpoint, mend_note

# whose images the labels and masks are of that a model is trained on
SPLIT = 'train'


@STAGES.register_module()
class Train(Stage):
    """Train a model; a training that was stopped goes on.

    Args:
        name: Of the stage.
        config: Of the training.
        pretrained: Stage whose model gives the first weights of the backbone.
        labels: Stage whose affinity labels of the split ``train`` are learnt.
        masks: Stage whose pseudo masks of the split ``train`` are learnt; masks that a model
            predicts with the tags, such as ViT-PCM, may be such, too.
        weights: Stages whose checkpoints other entries of the config name, by dotted key:
            ``{'model.caae.init_cfg.checkpoint': 'caae'}``.
        options: Overrides of the config, nested or by dotted keys. ``train_cfg.max_iters`` moves
            the schedule along; other overrides come after that.
        title: What it is.
    """

    makes = 'checkpoint'
    takes = dict(pretrained=['checkpoint'], labels=['labels'], masks=['masks', 'predictions'])
    unit = 'iterations'
    mends = False

    def __init__(
        self,
        name: str,
        *,
        config: str,
        pretrained: str | None = None,
        labels: str | None = None,
        masks: str | None = None,
        weights: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        title: str | None = None,
    ) -> None:
        self.config = config
        self.options = flat_options(options or {})
        self.weights = flat_options(weights or {})
        takes = dict.fromkeys(self.weights, ['checkpoint'])
        self.takes = {**self.takes, **takes}  # type: ignore[misc]
        sources = dict(pretrained=pretrained, labels=labels, masks=masks, **self.weights)
        super().__init__(name, title=title or f'training of {Path(config).stem}', sources=sources)

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UsageError: see :meth:`Stage.check`; the config is missing or wrong.
        """
        super().check()
        for key in ('labels', 'masks'):
            if key in self.sources and SPLIT not in self.source(key).splits:
                raise UsageError(
                    f'stage {self.name}: {self.sources[key]} makes nothing of split {SPLIT!r}, '
                    'which a model is trained on: add it to its splits.'
                )

    def model_options(self, loader: str) -> tuple[str, dict[str, Any]]:
        """Return the config and the overrides that all who use the model need.

        Args:
            loader: ``train_dataloader`` or ``test_dataloader``, that they read images with.

        Raises:
            UsageError: the config is missing or wrong.
        """
        path = find_config(self.config, self.pipeline.tools)
        cfg = self.pipeline.tool_config(path, self.options)
        places = data_root_options(cfg, loader, self.pipeline.data_root)
        return path, {**places, **self._schedule_options(path), **self.options}

    def _schedule_options(self, path: str) -> dict[str, Any]:
        """Return the overrides that move the schedule, where the options set the iterations."""
        if ITERATIONS not in self.options:
            return {}
        rest = {key: value for key, value in self.options.items() if key != ITERATIONS}
        cfg = self.pipeline.tool_config(path, rest)
        counted = 'max_iters' in cfg.train_cfg
        return schedule_options(cfg, self.options[ITERATIONS]) if counted else {}

    def training(self, place: Callable[[str], str] | None = None, **options: Any) -> Config:
        """Return the config of the training with all overrides.

        Args:
            place: Gives where that is which a parameter names (the name of the stage).
            **options: Further overrides, by dotted key.

        Raises:
            UsageError: the config is missing or wrong, or has no place for what a stage makes.
        """
        try:
            path, changes = self.model_options('train_dataloader')
            cfg = self.pipeline.tool_config(path, changes)
            for parameter, name in self.sources.items():
                where = name if place is None else place(parameter)
                changes.update(source_options(cfg, parameter, where))
            return self.pipeline.tool_config(path, {**changes, **options})
        except UsageError as error:
            raise UsageError(f'stage {self.name}: {error}') from error

    def fingerprint(self) -> dict[str, Any]:
        """Return all that decides the weights.

        Raises:
            UsageError: the config, weights that it starts from, or data are missing.
        """
        cfg = self.training()
        sections = dict(super().fingerprint(), config=training_part(cfg), seed=self.pipeline.seed)
        try:
            known = [
                name for key, name in self.sources.items() if self.takes[key] == ['checkpoint']
            ]
            sections['weights'] = weight_digests(cfg.model, known)
            if not self.pipeline.makes_data:
                dataset = cfg.train_dataloader.dataset
                sections['data'] = dict(train=self.pipeline.images(dataset, masks=True).digest)
        except UsageError as error:
            raise UsageError(f'stage {self.name}: {error}') from error
        return sections

    def shares(self) -> tuple[int, int]:
        """Return how many processes train, and the images of a batch that each takes.

        They are the most that share the batch of the config evenly: two of four for ten images.

        Raises:
            UsageError: the config is missing or wrong, or its batch has no image.
        """
        batch = self.training().train_dataloader.get('batch_size', 1)
        if not isinstance(batch, int) or batch < 1:
            raise UsageError(
                f'stage {self.name}: train_dataloader.batch_size must be a whole number of at '
                f'least 1, got {batch!r}.'
            )
        processes = min(self.pipeline.processes, batch)
        while batch % processes:
            processes -= 1
        return processes, batch // processes

    def prepare(self) -> None:
        """Set right which checkpoint the training goes on from."""
        mend_note(self.folder)

    def checkpoint(self) -> Path:
        """Return the latest checkpoint, or where the last one will be if there is none yet."""
        loop = self._loop()
        last = f'iter_{loop["max_iters"]}' if 'max_iters' in loop else f'epoch_{loop["max_epochs"]}'
        return latest_checkpoint(self.folder) or self.folder / f'{last}.pth'

    def _loop(self) -> Mapping[str, Any]:
        return self.pipeline.tool_config(*self.model_options('train_dataloader')).train_cfg

    def commands(self) -> list[Command]:
        """Return the one command.

        Raises:
            UsageError: see :meth:`training`.
        """
        options = {'randomness.seed': self.pipeline.seed}
        processes, batch = self.shares()
        if processes > 1:
            options['train_dataloader.batch_size'] = batch
        words = (str(self.folder / f'{self.name}.py'), '--work-dir', str(self.folder), '--resume')
        config = self.training(self._place, **options)
        return [Command('train.py', words, RANKS, processes, config)]

    def _place(self, parameter: str) -> str:
        source = self.source(parameter)
        if source.makes == 'checkpoint':
            return str(source.checkpoint())
        return str(source.folder / SPLIT)

    def outputs(self) -> dict[str, Any]:
        """Return the name of the ``checkpoint``; there are no files of images.

        Raises:
            UsageError: there is none.
        """
        path = latest_checkpoint(self.folder)
        if path is None:
            raise UsageError(
                f'stage {self.name}: the training left no checkpoint in {self.folder}: set '
                f'default_hooks.checkpoint in {self.config}.'
            )
        return dict(files={}, checkpoint=path.name)

    def progress(self) -> tuple[int, int | None]:
        """Return the last iteration that was logged, and the number of all unless epochs count."""
        return iterations_done(self.folder), self._loop().get('max_iters')

    def amount(self) -> str:
        """Return the iterations or epochs in words, and on how many processes if not on all."""
        length = super().amount() or f'{self._loop().get("max_epochs")} epochs'
        processes, batch = self.shares()
        there = self.pipeline.processes
        if processes == there:
            return length
        return f'{length} of {batch * processes} images, on {processes} of {there} processes'
