"""Stages that make files without a model: the Emblems data set, labels, maps and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmwsss.cli.mask_settings import CRF, background_scores, crf_settings
from mmwsss.datasets.affinity_files import SUFFIXES
from mmwsss.datasets.emblems import DRAWING, SPLITS, EmblemsSettings
from mmwsss.datasets.folder_files import list_folder
from mmwsss.evaluation.background_threshold import RULES, automatic_background_score
from mmwsss.models.refiners import PAR

from ..stage import NODES, STAGES, Command, Stage
from ..tool_configs import flat_options


@STAGES.register_module()
class DrawEmblems(Stage):
    """Draw Emblems; a data set that is there is left alone.

    Args:
        name: Of the stage.
        data_root: Folder of the data set.
        settings: Arguments of :class:`~mmwsss.datasets.EmblemsSettings`.
        title: What it is.

    Raises:
        ValueError: the settings are none of Emblems.
    """

    makes = 'data'

    def __init__(
        self,
        name: str,
        *,
        data_root: str,
        settings: dict[str, Any] | None = None,
        title: str | None = None,
    ) -> None:
        try:
            self.drawn = EmblemsSettings(**(settings or {}))
        except TypeError as error:
            raise ValueError(f'settings {settings}: {error}') from error
        self.data_root = data_root
        title = title or 'drawing of Emblems'
        super().__init__(name, title=title, drawing=DRAWING, **asdict(self.drawn))

    def commands(self) -> list[Command]:
        """Return the one command."""
        words = [self.data_root, '--workers', str(self.pipeline.workers)]
        default = asdict(EmblemsSettings())
        for key, value in asdict(self.drawn).items():
            if value != default[key]:
                option = 'num-classes' if key == 'num_emblems' else key.replace('_', '-')
                words += [f'--{option}', str(value)]
        return [Command('dataset_converters/make_emblems.py', tuple(words))]

    def outputs(self) -> dict[str, Any]:
        """Count the images with masks, by split."""
        root = Path(self.data_root)
        counts = dict.fromkeys(SPLITS, 0)
        masks = {path.stem for path in (root / 'SegmentationClass').glob('[!.]*.png')}
        for path in (root / 'JPEGImages').glob('[!.]*.jpg'):
            split = path.stem.rpartition('_')[0]
            if path.stem in masks and split in counts:
                counts[split] += 1
        return dict(files=counts)

    def progress(self) -> tuple[int, int | None]:
        """Return the number of images with masks, and of all that are to be drawn."""
        return super().progress()[0], self.drawn.num_train + self.drawn.num_val


def _setting_words(settings: Mapping[str, Any]) -> list[str]:
    """Return numbers and lists of numbers as an option of the form KEY=VALUE takes them."""
    return [f'{key}={value}'.replace(' ', '') for key, value in settings.items()]


class FileStage(Stage):
    """A stage that makes a file of each file of maps, on all cores, one command a split."""

    tool = ''
    takes = dict(cams=['maps'])

    def words(self, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            split: Name of the split.
        """
        return []

    def commands(self) -> list[Command]:
        """Return a command for each split."""
        found = []
        for split in self.splits:
            words = [str(self.source('cams').folder / split)]
            words += ['--images', self.pipeline.splits[split].images]
            words += ['--out-dir', str(self.folder / split)]
            words += [*self.words(split), '--workers', str(self.pipeline.workers)]
            found.append(Command(self.tool, tuple(words), NODES))
        return found

    def progress(self) -> tuple[int, int | None]:
        """Return the number of files, and of those of maps, None while these are not there."""
        maps = self.source('cams').outputs()['files']
        return super().progress()[0], sum(maps[split] for split in self.splits) or None


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
            title=title or f'maps of {cams}, refined by PAR',
            num_iters=made.num_iters,
            dilations=list(made.dilations),
        )

    def words(self, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            split: Name of the split.
        """
        return ['--par-config', *_setting_words(self.par)] if self.par else []


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
            title=title or f'affinity labels of {cams}',
            style=style,
            background=background,
            crf_backend=crf_backend,
        )
        self.suffix = SUFFIXES[style]  # type: ignore[misc]

    def words(self, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            split: Name of the split.
        """
        words = ['--style', self.entry['style']]
        if self.pipeline.num_classes is not None:
            words += ['--num-classes', str(self.pipeline.num_classes)]
        if self.entry['background'] is not None:
            words += ['--background', *map(str, self.entry['background'])]
        if self.entry['crf_backend'] != 'torch':
            words += ['--crf-backend', self.entry['crf_backend']]
        return words


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
        super().__init__(
            name,
            splits=splits,
            sources=dict(cams=cams),
            title=title or f'pseudo masks of {cams}',
            background=background_scores(**given),
            crf=crf_settings(crf, self.crf_config),
        )

    def words(self, split: str) -> list[str]:
        """Return further options of the tool.

        Args:
            split: Name of the split.
        """
        (option, value), *_ = self.background.items()
        values = value if isinstance(value, (list, tuple)) else [value]
        words = [f'--{option.replace("_", "-")}', *map(str, values)]
        words += ['--crf', self.crf] if self.crf else []
        if self.crf_config:
            words += ['--crf-config', *_setting_words(self.crf_config)]
        return [*words, *self.pipeline.class_options()]

    def notes(self) -> list[str]:
        """Say which background score was chosen."""
        rule = self.background.get('bg_score')
        found = []
        for split in self.splits if rule in RULES else ():
            maps = list_folder(self.source('cams').folder / split, ('.npz',)).paths()
            if maps:
                score = automatic_background_score(maps.values(), rule)
                found.append(
                    f'{self.name} of {split}: background score {score:g}, chosen without true '
                    f'masks ({rule}).'
                )
        return found
