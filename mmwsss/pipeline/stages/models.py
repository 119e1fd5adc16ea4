"""Stages that run a trained model over images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from mmwsss.cli.model_files import find_split
from mmwsss.errors import UsageError
from mmwsss.evaluation.cam_files import DTYPES

from ..stage import RANKS, STAGES, Command, Stage
from ..tool_configs import flat_options, testing_part

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

    takes = dict(model=['checkpoint'])
    tool = ''
    keys: tuple[str, ...] = ()

    def __init__(self, name: str, *, options: Mapping[str, Any] | None = None, **kwargs: Any):
        self.options = flat_options(options or {})
        super().__init__(name, **kwargs)

    def words(self, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            split: Name of the split.
        """
        return []

    def model_config(self, split: str) -> Config:
        """Return the config of the model with all overrides.

        Args:
            split: Name of the split.

        Raises:
            UsageError: the config is missing or wrong.
        """
        try:
            path, options = self.source('model').model_options('test_dataloader')
            options = {k: v for k, v in options.items() if not k.startswith(TRAINING_ONLY)}
            options.update(flat_options(self.pipeline.splits[split].options))
            options.update(self.options)
            return self.pipeline.tool_config(path, options)
        except UsageError as error:
            raise UsageError(f'stage {self.name}: {error}') from error

    def fingerprint(self) -> dict[str, Any]:
        """Return all that decides what the model makes of the images.

        Raises:
            UsageError: data are missing or wrong.
        """
        config = testing_part(self.model_config(self.splits[0]), *self.keys)
        sections = dict(super().fingerprint(), config=config)
        if not self.pipeline.makes_data:
            sections['data'] = {split: self._images(split).digest for split in self.splits}
        return sections

    def _images(self, split: str) -> Any:
        dataset = self.model_config(split).test_dataloader.dataset.to_dict()
        dataset['ann_file'] = find_split(self.pipeline.splits[split].split, dataset)
        try:
            return self.pipeline.images(dataset)
        except UsageError as error:
            raise UsageError(f'stage {self.name}, split {split}: {error}') from error

    def commands(self) -> list[Command]:
        """Return a command for each split."""
        checkpoint = self.source('model').checkpoint()
        found = []
        for split in self.splits:
            words = [str(self.folder / f'{split}.py'), str(checkpoint)]
            words += ['--split', self.pipeline.splits[split].split]
            words += [
                '--out-dir',
                str(self.folder / split),
                '--work-dir',
                str(self.folder / 'logs'),
            ]
            words += self.words(split)
            found.append(Command(self.tool, tuple(words), RANKS, config=self.model_config(split)))
        return found

    def progress(self) -> tuple[int, int | None]:
        """Return the number of files and of images, None while these are not made."""
        try:
            total = sum(len(self._images(split).names) for split in self.splits)
        except UsageError:
            if not self.pipeline.makes_data:
                raise
            total = None
        return super().progress()[0], total


@STAGES.register_module()
class MakeCAMs(ModelStage):
    """Write the class activation maps of a model.

    Args:
        name: Of the stage.
        model: Stage that trained it.
        splits: Of the images.
        single_scale: Whether to see each image once, not in the views of ``tta_pipeline``.
        dtype: ``float16`` or ``float32``, of the files.
        options: Overrides of the config of the model.
        title: What it is.

    Raises:
        ValueError: ``dtype`` is neither.
    """

    makes = 'maps'
    suffix = '.npz'
    tool = 'make_cams.py'
    keys = ('tta_model', 'tta_pipeline')

    def __init__(
        self,
        name: str,
        *,
        model: str,
        splits: Sequence[str],
        single_scale: bool = False,
        dtype: str = 'float16',
        options: Mapping[str, Any] | None = None,
        title: str | None = None,
    ) -> None:
        if dtype not in DTYPES:
            raise ValueError(f'dtype must be one of {", ".join(DTYPES)}, got {dtype!r}.')
        super().__init__(
            name,
            options=options,
            splits=splits,
            sources=dict(model=model),
            title=title or f'CAMs of {model}',
            single_scale=single_scale,
            dtype=dtype,
        )

    def words(self, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            split: Name of the split.
        """
        words = ['--single-scale'] if self.entry['single_scale'] else []
        if (dtype := self.entry['dtype']) != DTYPES[0]:
            words += ['--dtype', dtype]
        return words


@STAGES.register_module()
class MakeWalks(ModelStage):
    """Spread maps along the affinities of AffinityNet or IRN.

    Args:
        name: Of the stage.
        model: Stage that trained the network of the affinities; its config has ``walk``.
        cams: Stage that made the maps.
        splits: Of the images.
        options: Overrides of the config of the model, such as ``{'walk.beta': 4}``.
        title: What it is.
    """

    makes = 'maps'
    takes = dict(model=['checkpoint'], cams=['maps'])
    suffix = '.npz'
    tool = 'make_walks.py'
    keys = ('walk',)

    def __init__(
        self,
        name: str,
        *,
        model: str,
        cams: str,
        splits: Sequence[str],
        options: Mapping[str, Any] | None = None,
        title: str | None = None,
    ) -> None:
        super().__init__(
            name,
            options=options,
            splits=splits,
            sources=dict(model=model, cams=cams),
            title=title or f'random walks of {cams} along {model}',
        )

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UsageError: see :meth:`Stage.check`; the config of the model has no walk.
        """
        super().check()
        cfg = self.model_config(self.splits[0])
        if not cfg.get('walk'):
            raise UsageError(
                f'stage {self.name}: the config {cfg.filename} of {self.sources["model"]} has no '
                'walk: name a stage that trains a config of configs/affinitynet or configs/irn.'
            )

    def words(self, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            split: Name of the split.
        """
        return ['--cams', str(self.source('cams').folder / split)]


@STAGES.register_module()
class Test(ModelStage):
    """Write the masks that a segmentation model predicts, true ones unopened.

    Args:
        name: Of the stage.
        model: Stage that trained it.
        splits: Of the images.
        tta: Whether to see each image in the views of ``tta_pipeline``.
        options: Overrides of the config of the model.
        title: What it is.
    """

    __test__ = False  # its name is not for pytest
    makes = 'predictions'
    suffix = '.png'
    tool = 'make_predictions.py'
    keys = ('tta_model', 'tta_pipeline')

    def __init__(
        self,
        name: str,
        *,
        model: str,
        splits: Sequence[str],
        tta: bool = False,
        options: Mapping[str, Any] | None = None,
        title: str | None = None,
    ) -> None:
        super().__init__(
            name,
            options=options,
            splits=splits,
            sources=dict(model=model),
            title=title or f'test of {model}',
            tta=tta,
        )

    def words(self, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            split: Name of the split.
        """
        return ['--tta'] if self.entry['tta'] else []
