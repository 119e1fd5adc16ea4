"""Segmentation of any pictures by a trained model, in one call."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.apis import MMSegInferencer
from mmseg.structures import SegDataSample
from torch import nn

from mmwsss.cli.fitting import check_weights
from mmwsss.cli.launch import check_checkpoint
from mmwsss.cli.model_files import set_views
from mmwsss.datasets.class_palettes import NUM_COLORS
from mmwsss.errors import UsageError
from mmwsss.evaluation.predictions import check_finite
from mmwsss.utils import FileProblemError, check_number
from mmwsss.utils.progress import progress_bar

from .map_refiner import MapRefiner
from .painting import paint_mask
from .picture_errors import naming
from .picture_loader import Loaded, PictureLoader
from .picture_tags import Tags, add_tags, use_tags
from .pictures import Picture, Pictures, find_pictures, is_one_picture
from .prediction import Prediction
from .result_files import SUFFIXES, ResultFiles
from .size_batches import size_batches
from .trained_model import (
    check_device,
    find_classes,
    find_trained_model,
    read_model_config,
    segmentor_of,
)

DTYPES = dict(fp16=torch.float16, bf16=torch.bfloat16)


def _check_numbers(**numbers: Sequence[float]) -> None:
    """Refuse numbers out of their ranges."""
    try:
        for name, (value, *limits) in numbers.items():
            check_number(name, value, *limits)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


class WSSSInferencer(MMSegInferencer):
    """Segment pictures, folders and videos with a trained model.

    MMSegmentation's inferencer for the configs of this project and for its own: it knows pipelines,
    image-level labels and class activation maps, and holds the predictions of one batch at a time.

    A model that predicts by class activation maps lets the classes compete that a picture is tagged
    with or, where it has no tags, those with a probability of at least 0.5, whatever
    ``use_image_labels`` of its config says.

    Args:
        model: Config, its path, or its name in ``model-index.yml``.
        weights: Checkpoint, a file or an address.
        work_dir: Folder of a pipeline whose final model is taken, or of one training; in place of
            ``model`` and ``weights``.
        classes: Names of the classes with the background, in place of the checkpoint's.
        palette: RGB of the classes.
        device: Where the model runs; the GPU if there is one.
        tta: Test-time augmentation, by ``tta_model`` and ``tta_pipeline`` of the config.
        amp: ``'fp16'`` or ``'bf16'``: half precision where that is safe.
        channels_last: Lay out the weights for the convolutions of GPUs.
        refine: ``'par'`` or ``'crf'``: make class activation maps follow the colours of the
            picture, see :class:`~mmwsss.apis.map_refiner.MapRefiner`.
        cfg_options: Overrides of the config by dotted key.
        show_progress: Show a bar on a terminal.

    Raises:
        UsageError: there is no such model, or a setting does not fit it. It is a ``ValueError``.
        CheckpointError: the checkpoint cannot be read.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Config | dict | None = None,
        weights: str | os.PathLike[str] | None = None,
        *,
        work_dir: str | os.PathLike[str] | None = None,
        classes: Sequence[str] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        device: str | None = None,
        tta: bool = False,
        amp: str | None = None,
        channels_last: bool = False,
        refine: str | Mapping[str, Any] | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        show_progress: bool = True,
    ) -> None:
        if amp not in (None, *DTYPES):
            raise UsageError(f'amp must be None or one of {", ".join(DTYPES)}, got {amp!r}.')
        if work_dir is not None and model is None and weights is None:
            model, weights = find_trained_model(work_dir)
        elif work_dir is not None or model is None or weights is None:
            raise UsageError('Give a config and a checkpoint, or the work dir of a pipeline.')
        self.weights = os.fspath(weights)
        check_checkpoint(self.weights)
        check_device(device)
        cfg = read_model_config(model, cfg_options)
        if tta:
            set_views(cfg, 'do without test-time augmentation')
        # for the window of ``show``; the config's own would make folders for logs
        cfg.visualizer = dict(type='SegLocalVisualizer', name='inferencer')
        self._named: dict[str, Any] = dict(classes=classes, palette=palette)
        super().__init__(cfg, self.weights, device=device)
        self.show_progress = show_progress
        self.amp = amp
        self.refiner = None if refine is None else MapRefiner(refine, self.network)
        if channels_last:
            self.model.to(memory_format=torch.channels_last)

    @property
    def network(self) -> nn.Module:
        """The segmentor, without test-time augmentation."""
        return segmentor_of(self.model)

    def _load_weights_to_model(self, model: nn.Module, checkpoint: Any, cfg: Any) -> None:
        """Load weights that fit, and find out what the classes are called."""
        network = segmentor_of(model)
        state = checkpoint.get('state_dict', checkpoint)
        check_weights(network, state, self.weights)
        meta = {} if state is checkpoint else checkpoint.get('meta') or {}
        metas = [self._named] if self._named['classes'] else [meta.get('dataset_meta') or {}]
        self.classes = find_classes(metas, cfg, getattr(network, 'num_classes', None))
        if self._named['palette']:
            self.classes = self.classes._replace(palette=self._named['palette'])
        checkpoint = dict(state_dict=state, meta=dict(dataset_meta=self.classes._asdict()))
        super()._load_weights_to_model(network, checkpoint, cfg)

    def _init_pipeline(self, cfg: Config) -> PictureLoader:
        """Return what loads a picture."""
        return PictureLoader(cfg, len(self.classes.classes))

    def _init_collate(self, cfg: Config) -> Any:
        """Return what makes a batch; MMEngine's own search for it warns in vain."""
        return pseudo_collate

    def _find(self, inputs: Any, stride: int, tags: Tags | None, out_dir: str) -> Pictures:
        """Return the pictures that are meant, tagged if there are tags."""
        # the results of an earlier run are no pictures
        without = [os.path.join(out_dir, kind) for kind in SUFFIXES] if out_dir else []
        pictures = find_pictures(inputs, stride=stride, first=self.num_pred_imgs, without=without)
        for note in pictures.notes if self.show_progress else ():
            print(note)
        self.num_pred_imgs += sum(source.path is None for source in pictures.sources)
        use_tags(self.network, tags is not None)
        return pictures if tags is None else add_tags(pictures, tags, self.classes.classes)

    def _shown(self, pictures: Pictures) -> Iterator[Picture]:
        """Iterate with a bar."""
        if not self.show_progress:
            yield from pictures
            return
        with progress_bar() as bar:
            yield from bar.track(pictures, len(pictures), description='pictures')

    def _mask(self, image: np.ndarray, sample: SegDataSample) -> np.ndarray:
        if self.refiner is not None:
            self.refiner(image, sample)
        small = len(self.classes.classes) <= NUM_COLORS
        indices = sample.pred_sem_seg.data[0]
        return indices.to(torch.uint8 if small else torch.int32).cpu().numpy()

    def _load(
        self, place: int, picture: Picture, folder: Path | None, broken: list[Prediction] | None
    ) -> Loaded | None:
        try:
            with naming([picture]):
                return self.pipeline(place, picture, folder)
        except (FileProblemError, FileNotFoundError) as error:
            if broken is None:
                raise
            broken.append(Prediction(place, picture.name, problem=str(error)))
            return None

    def _predict(
        self, batch: Sequence[Loaded], data: Any, broken: list[Prediction] | None
    ) -> list[SegDataSample]:
        """Return the predictions for a batch, none where they mean nothing."""
        try:
            with naming([one.picture for one in batch]):
                samples = self.forward(data)
                for one, sample in zip(batch, samples, strict=True):
                    path = one.picture.path or one.picture.name
                    check_finite({**sample.to_dict(), 'img_path': path})
                return samples
        except FileProblemError as error:
            if broken is None:
                raise
            broken += [Prediction(o.place, o.picture.name, problem=str(error)) for o in batch]
            return []

    def preprocess(  # type: ignore[override]
        self,
        inputs: Iterable[tuple[int, Picture]],
        batch_size: int = 1,
        *,
        broken: list[Prediction] | None = None,
    ) -> Iterator[tuple[list[Loaded], Any]]:
        """Load pictures and put those of one size together.

        Args:
            inputs: Pictures with their places among all.
            batch_size: Most pictures of a batch.
            broken: Gets the pictures that cannot be read; None raises the error.
        """
        with tempfile.TemporaryDirectory() as scratch:
            # a CRF reads the picture again
            folder = Path(scratch) if getattr(self.network, 'crf', None) is not None else None
            loaded = (self._load(place, picture, folder, broken) for place, picture in inputs)
            for batch in size_batches(filter(None, loaded), attrgetter('size'), batch_size):
                yield batch, self.collate_fn([one.data for one in batch])
                for one in batch:
                    if one.copy is not None:
                        one.copy.unlink()

    def forward(self, inputs: Any) -> list[SegDataSample]:
        """Return the predictions for a batch.

        Args:
            inputs: Batch as the data loader gives it.
        """
        kind = next(self.model.parameters()).device.type
        with torch.autocast(kind, DTYPES[self.amp]) if self.amp else nullcontext():
            return super().forward(inputs)

    def stream(
        self,
        inputs: Any,
        *,
        batch_size: int = 1,
        tags: Tags | None = None,
        stride: int = 1,
        out_dir: str | os.PathLike[str] = '',
        overwrite: bool = True,
        cams: bool = False,
        heat_maps: bool = False,
        return_vis: bool = False,
        skip_broken: bool = False,
        **painting: Any,
    ) -> Iterator[Prediction]:
        """Yield predictions when they are made, those of another size perhaps later.

        Args:
            inputs: A path, folder, pattern, address, video or BGR array, or a list of those, see
                :func:`~mmwsss.apis.pictures.find_pictures`.
            batch_size: Most pictures that the model sees at once.
            tags: Image-level labels, see :func:`~mmwsss.apis.picture_tags.add_tags`.
            stride: Every how many frames of a video one is taken.
            out_dir: Folder for the files; '' writes none.
            overwrite: Whether pictures are segmented again whose files are there.
            cams: Write class activation maps, too.
            heat_maps: Write pictures of them, and the maps.
            return_vis: Whether overlays are made without ``out_dir``.
            skip_broken: Go on after a picture that cannot be read or segmented; it comes in the
                end, with the ``problem`` of its prediction.
            **painting: ``opacity`` of an overlay's colours (0.6) and ``with_labels``, whether it
                names the classes (True).

        Raises:
            UsageError: something is wrong with the inputs, the tags or the folder.
            LabelFileError: something is wrong with a file of tags.
            ImageFileError: a picture cannot be read; what is finished stays.
            PictureError: the model cannot take a picture, or memory does not suffice for it.
            PredictionError: the model predicts NaN or infinity.
            FileNotFoundError: a picture is gone.
        """
        _check_numbers(batch_size=(batch_size, 1), opacity=(painting.get('opacity', 0.6), 0, 1))
        pictures = self._find(inputs, stride, tags, os.fspath(out_dir))
        files = None
        if out_dir:
            pictures.check_names()
            files = ResultFiles(out_dir, self.classes, cams=cams, heat_maps=heat_maps)
        kept = []
        broken: list[Prediction] | None = [] if skip_broken else None

        def missing() -> Iterator[tuple[int, Picture]]:
            for place, picture in enumerate(self._shown(pictures)):
                if files is not None and not overwrite and files.finished(picture.name):
                    kept.append(Prediction(place, picture.name))
                else:
                    yield place, picture

        for batch, data in self.preprocess(missing(), batch_size, broken=broken):
            for one, sample in zip(batch, self._predict(batch, data, broken), strict=False):
                mask, overlay, name = self._mask(one.image, sample), None, one.picture.name
                with naming([one.picture]):
                    if files is not None or return_vis:
                        overlay = paint_mask(one.image, mask, self.classes, **painting)
                    if files is not None and overlay is not None:
                        files.write(name, one.image, mask, overlay, sample)
                yield Prediction(one.place, name, mask, sample, overlay)
        yield from [*kept, *(broken or [])]

    def __call__(  # type: ignore[override]
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 1,
        return_vis: bool = False,
        show: bool = False,
        wait_time: float = 0,
        **options: Any,
    ) -> dict[str, Any]:
        """Segment pictures and return all predictions.

        Args:
            inputs: As in :meth:`stream`.
            return_datasamples: Return everything that the model predicts, in place of masks.
            batch_size: Most pictures that the model sees at once.
            return_vis: Return the pictures with their masks, too.
            show: Show each in a window.
            wait_time: Seconds that the window stays, 0 until a key is pressed.
            **options: Further arguments of :meth:`stream`.

        Returns:
            ``predictions``, a class index mask ``(H, W)`` or a ``SegDataSample`` for each picture
            in the order of the inputs, and ``visualization``, RGB pictures or nothing; lists,
            unless ``inputs`` is one picture. None stands for what ``overwrite=False`` left out.

        Raises:
            UsageError: and others, see :meth:`stream`.
        """
        found: dict[int, tuple[Any, Any]] = {}
        drawn = return_vis or show
        for one in self.stream(inputs, batch_size=batch_size, return_vis=drawn, **options):
            if show and one.overlay is not None:
                self.visualizer.show(one.overlay, win_name=one.name, wait_time=wait_time)
            # the tensors of all pictures would not fit into the memory of a GPU
            sample = one.sample.cpu() if return_datasamples and one.sample is not None else None
            found[one.place] = (
                sample if return_datasamples else one.mask,
                one.overlay if return_vis else None,
            )
        results = [found[place] for place in sorted(found)]
        if is_one_picture(inputs):
            return dict(
                predictions=results[0][0], visualization=results[0][1] if return_vis else []
            )
        pictures = [overlay for _, overlay in results] if return_vis else []
        return dict(predictions=[result for result, _ in results], visualization=pictures)
