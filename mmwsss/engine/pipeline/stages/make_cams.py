"""Stage that makes class activation maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmwsss.evaluation.cam_files import DTYPES

from ..registry import STAGES
from .model_stage import ModelStage

if TYPE_CHECKING:
    from ..pipeline import Pipeline


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
    takes = dict(model=['checkpoint'])
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
            title=title,
            single_scale=single_scale,
            dtype=dtype,
        )

    def describe(self) -> str:
        """Return what the stage is."""
        return f'CAMs of {self.sources["model"]}'

    def words(self, pipeline: Pipeline, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        words = ['--single-scale'] if self.entry['single_scale'] else []
        if (dtype := self.entry['dtype']) != DTYPES[0]:
            words += ['--dtype', dtype]
        return words
