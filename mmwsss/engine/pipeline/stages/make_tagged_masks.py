"""Stage that makes pseudo masks of a segmentation model's predictions and the tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmwsss.engine.launch import UsageError

from ..registry import STAGES
from .test import Test

if TYPE_CHECKING:
    from ..pipeline import Pipeline


@STAGES.register_module()
class MakeTaggedMasks(Test):
    """Let a model that learned pseudo masks make better ones: it knows the tags of the images.

    Only the background and the classes that an image is tagged with compete, so what a class is
    mistaken for elsewhere does no harm. A second training learns these masks.

    Args:
        name: Of the stage.
        model: Stage that trained the segmentation network.
        splits: Of the images.
        tags: Source of the image-level labels.
        tta: Whether to see each image in the views of ``tta_pipeline``.
        options: Overrides of the config of the model.
        title: What it is.
    """

    makes = 'masks'

    def __init__(
        self,
        name: str,
        *,
        model: str,
        splits: Sequence[str],
        tags: str,
        tta: bool = False,
        options: Mapping[str, Any] | None = None,
        title: str | None = None,
    ) -> None:
        super().__init__(name, model=model, splits=splits, tta=tta, options=options, title=title)
        self.entry['tags'] = tags

    def check(self, pipeline: Pipeline) -> None:
        """Refuse settings that cannot work.

        Args:
            pipeline: The pipeline.

        Raises:
            UsageError: see :meth:`Stage.check`; there are no tags.
        """
        super().check(pipeline)
        if not Path(self.entry['tags']).exists():
            raise UsageError(
                f'stage {self.name}: the tags {self.entry["tags"]} do not exist: correct the path.'
            )

    def describe(self) -> str:
        """Return what the stage is."""
        return f'masks of {self.sources["model"]}, limited to the tags'

    def words(self, pipeline: Pipeline, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        return [*super().words(pipeline, split), '--tags', self.entry['tags']]
