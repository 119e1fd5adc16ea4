"""What the stages share that run a trained model over images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from mmwsss.engine.launch import UsageError
from mmwsss.engine.model_files import find_split

from ..stage import RANKS, Command, Stage
from ..tool_configs import flat_options, option_words, testing_part

if TYPE_CHECKING:
    from ..pipeline import Pipeline

# overrides of a training that mean nothing to a model
TRAINING_ONLY = (
    'train_',
    'optim_wrapper',
    'param_scheduler',
    'default_hooks',
    'custom_hooks',
    'randomness',
)


class ModelStage(Stage):
    """A stage that runs a trained model over the images of splits, one command a split.

    Args:
        name: Of the stage.
        options: Overrides of the config of the model, nested or by dotted keys.
        **kwargs: Arguments of :class:`Stage`.
    """

    tool = ''
    keys: tuple[str, ...] = ()

    def __init__(self, name: str, *, options: Mapping[str, Any] | None = None, **kwargs: Any):
        self.options = flat_options(options or {})
        super().__init__(name, **kwargs)

    def words(self, pipeline: Pipeline, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        return []

    def model_config(self, pipeline: Pipeline, split: str) -> tuple[str, dict[str, Any], Config]:
        """Return the path of the model's config, the overrides, and the result.

        Args:
            pipeline: The pipeline.
            split: Name of the split.

        Raises:
            UsageError: the config is missing or wrong.
        """
        try:
            model = pipeline.source(self, 'model')
            path, options = model.model_options(pipeline, 'test_dataloader')
            options = {k: v for k, v in options.items() if not k.startswith(TRAINING_ONLY)}
            options.update(flat_options(pipeline.splits[split].options))
            options.update(self.options)
            return path, options, pipeline.tool_config(path, options)
        except UsageError as error:
            raise UsageError(f'stage {self.name}: {error}') from error

    def dataset(self, pipeline: Pipeline, split: str) -> dict[str, Any]:
        """Return the config of the images of a split.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        dataset = self.model_config(pipeline, split)[2].test_dataloader.dataset.to_dict()
        return {**dataset, 'ann_file': find_split(pipeline.splits[split].split, dataset)}

    def settings(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return all that decides what the model makes of the images.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: data are missing or wrong.
        """
        cfg = self.model_config(pipeline, self.splits[0])[2]
        settings = dict(super().settings(pipeline), config=testing_part(cfg, *self.keys))
        if not pipeline.makes_data:
            settings['data'] = {s: self._images(pipeline, s).digest for s in self.splits}
        return settings

    def _images(self, pipeline: Pipeline, split: str) -> Any:
        try:
            return pipeline.images(self.dataset(pipeline, split))
        except UsageError as error:
            raise UsageError(f'stage {self.name}, split {split}: {error}') from error

    def commands(self, pipeline: Pipeline) -> list[Command]:
        """Return a command for each split.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: an option cannot be handed to the tool.
        """
        checkpoint = pipeline.source(self, 'model').checkpoint(pipeline)
        folder = pipeline.folder(self.name)
        found = []
        for split in self.splits:
            path, options, _ = self.model_config(pipeline, split)
            words = [path, str(checkpoint), '--split', pipeline.splits[split].split]
            words += ['--out-dir', str(folder / split), '--work-dir', str(folder / 'logs')]
            words += [*self.words(pipeline, split), *option_words(options)]
            found.append(Command(self.tool, tuple(words), RANKS))
        return found

    def total(self, pipeline: Pipeline) -> int:
        """Return the number of images.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: data are missing or wrong.
        """
        return sum(len(self._images(pipeline, split).names) for split in self.splits)
