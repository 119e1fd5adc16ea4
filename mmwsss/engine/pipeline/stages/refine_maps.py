"""Stage that makes maps follow the colours of their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmwsss.models.refiners import PAR

from ..registry import STAGES
from ..tool_configs import option_words
from .file_stage import FileStage

if TYPE_CHECKING:
    from ..pipeline import Pipeline


@STAGES.register_module()
class RefineMaps(FileStage):
    """Refine maps by pixel-adaptive refinement (PAR).

    Args:
        name: Of the stage.
        cams: Stage that made the maps or walks.
        splits: Of the images.
        par: Arguments of :class:`~mmwsss.models.refiners.PAR`.
        title: What it is.

    Raises:
        ValueError: the arguments are none of PAR.
    """

    makes = 'maps'
    suffix = '.npz'
    tool = 'refine_maps.py'

    def __init__(
        self,
        name: str,
        *,
        cams: str,
        splits: Sequence[str],
        par: Mapping[str, Any] | None = None,
        title: str | None = None,
    ) -> None:
        self.par = dict(par or {})
        try:
            made = PAR(**self.par)
        except TypeError as error:
            raise ValueError(f'par {self.par}: {error}') from error
        super().__init__(
            name,
            splits=splits,
            sources=dict(cams=cams),
            title=title,
            num_iters=made.num_iters,
            dilations=list(made.dilations),
        )

    def describe(self) -> str:
        """Return what the stage is."""
        return f'maps of {self.sources["cams"]}, refined by PAR'

    def words(self, pipeline: Pipeline, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        return ['--par-config', *option_words(self.par)[1:]] if self.par else []
