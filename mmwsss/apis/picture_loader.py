"""Pictures as a model takes them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmseg.registry import TRANSFORMS

from mmwsss.cli.model_files import without_masks
from mmwsss.datasets import ImageFileError
from mmwsss.errors import UsageError

from .pictures import Picture


class Loaded(NamedTuple):
    """A picture that is ready for the model.

    Args:
        place: Of the picture among all.
        picture: The picture.
        image: Its pixels as they were, ``(H, W, 3)`` uint8 RGB.
        data: What the pipeline packed, one view or a list of views.
        copy: File that was made of it, None for most.
    """

    place: int
    picture: Picture
    image: np.ndarray
    data: dict[str, Any]
    copy: Path | None = None

    @property
    def size(self) -> Hashable:
        """Sizes of its views."""
        inputs = self.data['inputs']
        views = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        return tuple(tuple(view.shape) for view in views)


def _image_pipeline(cfg: Config) -> list[dict[str, Any]]:
    """Return the transforms with which a config tests, those of masks left out."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    steps: Sequence[dict[str, Any]] = dataset.get('pipeline') or cfg.get('test_pipeline') or []
    if not steps or 'LoadImage' not in str(steps[0]['type']):
        raise UsageError(
            'The config has no test_dataloader.dataset.pipeline, or test_pipeline, that begins '
            'with the loading of an image (LoadImageChecked, LoadImageFromFile): add one.'
        )
    return without_masks(list(steps))


class PictureLoader:
    """Loads pictures as the config's own test would, arrays too.

    Args:
        cfg: Config of the model.
        num_classes: With the background.

    Raises:
        UsageError: the config does not say how images are loaded.
    """

    def __init__(self, cfg: Config, num_classes: int) -> None:
        first, *rest = _image_pipeline(cfg)
        as_float = bool(first.get('to_float32', False))
        self.from_file = TRANSFORMS.build(first)
        self.from_array = TRANSFORMS.build(dict(type='LoadImageFromNDArray', to_float32=as_float))
        self.pipeline = Compose(rest)
        self.num_classes = num_classes

    def __call__(self, place: int, picture: Picture, folder: Path | None = None) -> Loaded:
        """Load a picture.

        Args:
            place: Of the picture among all.
            picture: The picture.
            folder: Where an array becomes a file, for a model that reads its pictures again.

        Raises:
            ImageFileError: it cannot be read.
            FileNotFoundError: it is gone.
        """
        copy = None
        if picture.problem is not None:
            raise ImageFileError(picture.problem)
        if picture.image is None:
            results = self._read(str(picture.path))
        elif folder is None:
            results = self.from_array(dict(img=picture.image))
        else:
            copy = folder / f'{place}.png'
            cv2.imwrite(str(copy), picture.image)
            results = self._read(str(copy))
        image = np.asarray(results['img'], dtype=np.uint8)[..., ::-1]
        data = self.pipeline(results)
        if picture.tags is not None:
            self._tag(data, picture.tags)
        return Loaded(place, picture, image, data, copy)

    def _read(self, path: str) -> dict[str, Any]:
        try:
            return self.from_file(dict(img_path=path))
        except ImageFileError:
            raise
        except FileNotFoundError as error:
            # what a data set's transform advises is no matter of a picture that was named
            raise FileNotFoundError(
                f'image {path} is gone or cannot be read: check the path.'
            ) from error
        except Exception as error:
            # the loaders of other configs raise whatever their decoders do
            raise ImageFileError(
                f'image {path} cannot be read ({error}): fetch the file again, or leave it out.'
            ) from error

    def _tag(self, data: dict[str, Any], tags: Sequence[int]) -> None:
        label = torch.tensor(tags, dtype=torch.int64)
        score = torch.zeros(self.num_classes - 1)
        score[label] = 1.0
        samples = data['data_samples']
        for sample in samples if isinstance(samples, (list, tuple)) else [samples]:
            sample.set_data(dict(gt_label=label, gt_score=score))
