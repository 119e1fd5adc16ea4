"""Stage that trains a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from mmwsss.engine.launch import UsageError

from ..data import weight_digests
from ..registry import STAGES
from ..schedules import ITERATIONS, schedule_options
from ..sources import source_options
from ..stage import RANKS, Command, Stage
from ..tool_configs import (
    data_root_options,
    find_config,
    flat_options,
    option_words,
    training_part,
)
from ..trainings import iterations_done, latest_checkpoint, mend_note

if TYPE_CHECKING:
    from ..pipeline import Pipeline

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
        super().__init__(name, title=title, sources=sources)

    def describe(self) -> str:
        """Return what the stage is."""
        return f'training of {Path(self.config).stem}'

    def check(self, pipeline: Pipeline) -> None:
        """Refuse settings that cannot work.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: see :meth:`Stage.check`; the config is missing or wrong.
        """
        super().check(pipeline)
        for key in ('labels', 'masks'):
            if key in self.sources and SPLIT not in pipeline.source(self, key).splits:
                raise UsageError(
                    f'stage {self.name}: {self.sources[key]} makes nothing of split {SPLIT!r}, '
                    'which a model is trained on: add it to its splits.'
                )

    def model_options(self, pipeline: Pipeline, loader: str) -> tuple[str, dict[str, Any]]:
        """Return the config and the overrides that all who use the model need.

        Args:
            pipeline: The pipeline.
            loader: ``train_dataloader`` or ``test_dataloader``, that they read images with.

        Raises:
            UsageError: the config is missing or wrong.
        """
        path = find_config(self.config, pipeline.tools)
        cfg = pipeline.tool_config(path, self.options)
        places = data_root_options(cfg, loader, pipeline.data_root)
        return path, {**places, **self._schedule_options(pipeline, path), **self.options}

    def _schedule_options(self, pipeline: Pipeline, path: str) -> dict[str, Any]:
        """Return the overrides that move the schedule, where the options set the iterations."""
        if ITERATIONS not in self.options:
            return {}
        rest = {key: value for key, value in self.options.items() if key != ITERATIONS}
        cfg = pipeline.tool_config(path, rest)
        counted = 'max_iters' in cfg.train_cfg
        return schedule_options(cfg, self.options[ITERATIONS]) if counted else {}

    def training(
        self, pipeline: Pipeline, place: Callable[[str], str]
    ) -> tuple[str, dict[str, Any], Config]:
        """Return the path of the config, the overrides of the training, and the result.

        Args:
            pipeline: The pipeline.
            place: Gives where that is which a parameter names.

        Raises:
            UsageError: the config is missing or wrong, or has no place for what a stage makes.
        """
        try:
            path, options = self.model_options(pipeline, 'train_dataloader')
            cfg = pipeline.tool_config(path, options)
            for parameter in self.sources:
                options.update(source_options(cfg, parameter, place(parameter)))
            return path, options, pipeline.tool_config(path, options)
        except UsageError as error:
            raise UsageError(f'stage {self.name}: {error}') from error

    def settings(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return all that decides the weights.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: the config, weights that it starts from, or data are missing.
        """
        _, _, cfg = self.training(pipeline, lambda parameter: self.sources[parameter])
        settings = dict(super().settings(pipeline), config=training_part(cfg), seed=pipeline.seed)
        try:
            known = [
                name for key, name in self.sources.items() if self.takes[key] == ['checkpoint']
            ]
            settings['weights'] = weight_digests(cfg.model, known)
            if not pipeline.makes_data:
                dataset = cfg.train_dataloader.dataset
                settings['data'] = dict(train=pipeline.images(dataset, masks=True).digest)
        except UsageError as error:
            raise UsageError(f'stage {self.name}: {error}') from error
        return settings

    def shares(self, pipeline: Pipeline) -> tuple[int, int]:
        """Return how many processes train, and the images of a batch that each takes.

        They are the most that share the batch of the config evenly: two of four for ten images.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: the config is missing or wrong, or its batch has no image.
        """
        _, _, cfg = self.training(pipeline, lambda parameter: self.sources[parameter])
        batch = cfg.train_dataloader.get('batch_size', 1)
        if not isinstance(batch, int) or batch < 1:
            raise UsageError(
                f'stage {self.name}: train_dataloader.batch_size must be a whole number of at '
                f'least 1, got {batch!r}.'
            )
        processes = min(pipeline.processes, batch)
        while batch % processes:
            processes -= 1
        return processes, batch // processes

    def prepare(self, pipeline: Pipeline) -> None:
        """Set right which checkpoint the training goes on from.

        Args:
            pipeline: The pipeline.
        """
        mend_note(pipeline.folder(self.name))

    def checkpoint(self, pipeline: Pipeline) -> Path:
        """Return the latest checkpoint, or where the last one will be if there is none yet.

        Args:
            pipeline: The pipeline.
        """
        folder = pipeline.folder(self.name)
        loop = self._loop(pipeline)
        last = f'iter_{loop["max_iters"]}' if 'max_iters' in loop else f'epoch_{loop["max_epochs"]}'
        return latest_checkpoint(folder) or folder / f'{last}.pth'

    def _loop(self, pipeline: Pipeline) -> Mapping[str, Any]:
        return pipeline.tool_config(*self.model_options(pipeline, 'train_dataloader')).train_cfg

    def commands(self, pipeline: Pipeline) -> list[Command]:
        """Return the one command.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: see :meth:`training`.
        """
        path, options, _ = self.training(pipeline, partial(self._place, pipeline))
        options['randomness.seed'] = pipeline.seed
        processes, batch = self.shares(pipeline)
        if processes > 1:
            options['train_dataloader.batch_size'] = batch
        words = [path, '--work-dir', str(pipeline.folder(self.name)), '--resume']
        return [Command('train.py', (*words, *option_words(options)), RANKS, processes)]

    def _place(self, pipeline: Pipeline, parameter: str) -> str:
        source = pipeline.source(self, parameter)
        if source.makes == 'checkpoint':
            return str(source.checkpoint(pipeline))
        return str(pipeline.folder(source.name) / SPLIT)

    def total(self, pipeline: Pipeline) -> int | None:
        """Return the number of iterations, None where epochs are counted.

        Args:
            pipeline: The pipeline.
        """
        return self._loop(pipeline).get('max_iters')

    def done(self, pipeline: Pipeline) -> int:
        """Return the number of the last iteration that was logged.

        Args:
            pipeline: The pipeline.
        """
        return iterations_done(pipeline.log(self.name))

    def amount(self, pipeline: Pipeline) -> str:
        """Return the iterations or epochs in words, and on how many processes if not on all.

        Args:
            pipeline: The pipeline.
        """
        loop = self._loop(pipeline)
        length = super().amount(pipeline) or f'{loop.get("max_epochs")} epochs'
        processes, batch = self.shares(pipeline)
        if processes == pipeline.processes:
            return length
        of = f'{processes} of {pipeline.processes}'
        return f'{length} of {batch * processes} images, on {of} processes'

    def lacking(self, pipeline: Pipeline, manifest: Mapping[str, Any]) -> str:
        """Say that the checkpoint of a finished training is no longer there, '' if it is.

        Args:
            pipeline: The pipeline.
            manifest: Of the finished stage.
        """
        name = manifest['checkpoint']
        return '' if (pipeline.folder(self.name) / name).is_file() else f'{name} is missing'

    def extras(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return the name of the checkpoint.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: there is none.
        """
        path = latest_checkpoint(pipeline.folder(self.name))
        if path is None:
            raise UsageError(
                f'stage {self.name}: the training left no checkpoint in '
                f'{pipeline.folder(self.name)}: set default_hooks.checkpoint in {self.config}.'
            )
        return dict(checkpoint=path.name)
