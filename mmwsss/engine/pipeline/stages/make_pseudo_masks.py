"""Stage that makes pseudo masks of maps."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmwsss.datasets.folder_files import list_folder
from mmwsss.engine.mask_settings import CRF, background_scores, crf_settings
from mmwsss.evaluation.background_threshold import RULES, automatic_background_score

from ..registry import STAGES
from ..tool_configs import flat_options, option_words
from .file_stage import FileStage

if TYPE_CHECKING:
    from ..pipeline import Pipeline


@STAGES.register_module()
class MakePseudoMasks(FileStage):
    """Make palette masks, one background score at most.

    Args:
        name: Of the stage.
        cams: Stage that made the maps or walks.
        splits: Of the images.
        bg_score: Constant background score, or the rule that finds it in the scores of the maps,
            ``otsu`` or ``multi-otsu``.
        bg_alpha: Exponent A of the background score (1 - max) ** A.
        ignore: Two constants: class above the second, background below the first, 255 between.
        crf: ``labels`` or ``probs``: what a dense CRF starts from.
        crf_config: Other settings of it than those of ``tools/make_pseudo_masks.py``.
        title: What it is.

    Raises:
        ValueError: there is no background score or more than one, or a setting is wrong.
    """

    makes = 'masks'
    suffix = '.png'
    tool = 'make_pseudo_masks.py'

    def __init__(
        self,
        name: str,
        *,
        cams: str,
        splits: Sequence[str],
        bg_score: float | str | None = None,
        bg_alpha: float | None = None,
        ignore: Sequence[float] | None = None,
        crf: str | None = None,
        crf_config: Mapping[str, Any] | None = None,
        title: str | None = None,
    ) -> None:
        given = dict(bg_score=bg_score, bg_alpha=bg_alpha, ignore=ignore)
        self.background = {key: value for key, value in given.items() if value is not None}
        if len(self.background) != 1:
            raise ValueError(f'give one of {", ".join(given)}, not {len(self.background)}.')
        if crf not in (None, *CRF):
            raise ValueError(f'crf must be one of {", ".join(CRF)}, got {crf!r}.')
        if ignore is not None and len(ignore) != 2:
            raise ValueError(f'ignore must be two numbers, got {ignore!r}.')
        self.crf, self.crf_config = crf, flat_options(crf_config or {})
        args = argparse.Namespace(**given, crf=crf, crf_config=self.crf_config)
        super().__init__(
            name,
            splits=splits,
            sources=dict(cams=cams),
            title=title,
            background=background_scores(args),
            crf=crf_settings(args),
        )

    def describe(self) -> str:
        """Return what the stage is."""
        return f'pseudo masks of {self.sources["cams"]}'

    def words(self, pipeline: Pipeline, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            pipeline: The pipeline.
            split: Name of the split.
        """
        (option, value), *_ = self.background.items()
        values = value if isinstance(value, (list, tuple)) else [value]
        words = [f'--{option.replace("_", "-")}', *map(str, values)]
        words += ['--crf', self.crf] if self.crf else []
        if self.crf_config:
            words += ['--crf-config', *option_words(self.crf_config)[1:]]
        return [*words, *pipeline.class_options()]

    def notes(self, pipeline: Pipeline) -> list[str]:
        """Say which background score was chosen.

        Args:
            pipeline: The pipeline, this stage finished.
        """
        rule = self.background.get('bg_score')
        found = []
        for split in self.splits if rule in RULES else ():
            maps = list_folder(pipeline.folder(self.sources['cams']) / split, ('.npz',)).paths()
            if maps:
                score = automatic_background_score(maps.values(), rule)
                found.append(
                    f'{self.name} of {split}: background score {score:g}, chosen without true '
                    f'masks ({rule}).'
                )
        return found
