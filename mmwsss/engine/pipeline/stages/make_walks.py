"""Stage that spreads maps along affinities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmwsss.engine.launch import UsageError

from ..registry import STAGES
from .model_stage import ModelStage

if TYPE_CHECKING:
    from ..pipeline import Pipeline


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
        sources = dict(model=model, cams=cams)
        super().__init__(name, options=options, splits=splits, sources=sources, title=title)

    def describe(self) -> str:
        """Return what the stage is."""
        return f'random walks of {self.sources["cams"]} along {self.sources["model"]}'

    def check(self, pipeline: Pipeline) -> None:
        """Refuse settings that cannot work.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: see :meth:`Stage.check`; the config of the model has no walk.
        """
        super().check(pipeline)
        path, _, cfg = self.model_config(pipeline, self.splits[0])
        if not cfg.get('walk'):
            raise UsageError(
                f'stage {self.name}: the config {path} of {self.sources["model"]} has no walk: '
                'name a stage that trains a config of configs/affinitynet or configs/irn.'
            )

    def words(self, pipeline: Pipeline, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        return ['--cams', str(pipeline.folder(self.sources['cams']) / split)]
