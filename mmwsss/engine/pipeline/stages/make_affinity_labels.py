"""Stage that makes affinity labels of maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmwsss.datasets.affinity_files import SUFFIXES

from ..registry import STAGES
from .file_stage import FileStage

if TYPE_CHECKING:
    from ..pipeline import Pipeline


@STAGES.register_module()
class MakeAffinityLabels(FileStage):
    """Make the labels that AffinityNet or IRN learns.

    Args:
        name: Of the stage.
        cams: Stage that made the maps.
        style: ``psa`` (AffinityNet) or ``irn``.
        splits: Of the images; a model is trained on the labels of ``train``.
        background: Two exponents (psa) or constants (irn) of the background, see
            ``tools/make_affinity_labels.py``.
        crf_backend: ``torch`` or ``pydensecrf``.
        title: What it is.

    Raises:
        ValueError: a setting is none of these.
    """

    makes = 'labels'
    tool = 'make_affinity_labels.py'

    def __init__(
        self,
        name: str,
        *,
        cams: str,
        style: str,
        splits: Sequence[str] = ('train',),
        background: Sequence[float] | None = None,
        crf_backend: str = 'torch',
        title: str | None = None,
    ) -> None:
        if style not in SUFFIXES:
            raise ValueError(f'style must be one of {", ".join(SUFFIXES)}, got {style!r}.')
        if background is not None and len(background) != 2:
            raise ValueError(f'background must be two numbers, got {background!r}.')
        super().__init__(
            name,
            splits=splits,
            sources=dict(cams=cams),
            title=title,
            style=style,
            background=background,
            crf_backend=crf_backend,
        )
        self.suffix = SUFFIXES[style]  # type: ignore[misc]

    def describe(self) -> str:
        """Return what the stage is."""
        return f'affinity labels of {self.sources["cams"]}'

    def words(self, pipeline: Pipeline, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        words = ['--style', self.entry['style']]
        if pipeline.num_classes is not None:
            words += ['--num-classes', str(pipeline.num_classes)]
        if self.entry['background'] is not None:
            words += ['--background', *map(str, self.entry['background'])]
        if self.entry['crf_backend'] != 'torch':
            words += ['--crf-backend', self.entry['crf_backend']]
        return words
