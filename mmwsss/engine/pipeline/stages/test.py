"""Stage that segments images with a trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..registry import STAGES
from .model_stage import ModelStage

if TYPE_CHECKING:
    from ..pipeline import Pipeline


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
    takes = dict(model=['checkpoint'])
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
            title=title,
            tta=tta,
        )

    def describe(self) -> str:
        """Return what the stage is."""
        return f'test of {self.sources["model"]}'

    def words(self, pipeline: Pipeline, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        return ['--tta'] if self.entry['tta'] else []
