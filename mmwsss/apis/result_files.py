"""The files of each picture: mask, overlay and, where they are wanted, maps."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from mmseg.structures import SegDataSample

from mmwsss.cli.mask_tools import make_folder
from mmwsss.datasets.class_palettes import ClassPalette, write_mask_file
from mmwsss.datasets.masks import MAX_CLASSES
from mmwsss.errors import UsageError
from mmwsss.evaluation import CAMWriter, read_cam_file
from mmwsss.utils import atomic_write, remove_stale, system_sentence
from mmwsss.visualization.encoding import encode_picture

from .painting import paint_cams

SUFFIXES = dict(masks='.png', overlays='.jpg', cams='.npz', heat_maps='.jpg')


class ResultFiles:
    """Writes the files of each picture into a folder for each kind.

    Args:
        out_dir: Folder of the folders ``masks``, ``overlays``, ``cams`` and ``heat_maps``.
        classes: Names and colours of the classes.
        cams: Whether maps are written.
        heat_maps: Whether pictures of the maps are written, and the maps.

    Raises:
        UsageError: the folder cannot be written, or there are too many classes for a mask.
    """

    def __init__(
        self,
        out_dir: str | os.PathLike[str],
        classes: ClassPalette,
        *,
        cams: bool = False,
        heat_maps: bool = False,
    ) -> None:
        if len(classes.classes) > MAX_CLASSES:
            raise UsageError(
                f'A mask file holds {MAX_CLASSES} classes, the model has {len(classes.classes)}: '
                'leave out_dir out and write the predictions yourself.'
            )
        self.out_dir, self.classes = Path(out_dir), classes
        kinds = dict(masks=True, overlays=True, cams=cams or heat_maps, heat_maps=heat_maps)
        self.kinds = [kind for kind, wanted in kinds.items() if wanted]
        folders = [self.out_dir, *(self.out_dir / kind for kind in self.kinds)]
        self._made = [folder for folder in folders if not folder.exists()]
        for kind in self.kinds:
            make_folder(self.out_dir / kind)
            for folder, _, _ in os.walk(self.out_dir / kind):
                remove_stale(folder)

    def path(self, kind: str, name: str) -> Path:
        """Return the path of a file.

        Args:
            kind: Of ``SUFFIXES``.
            name: Of the picture.
        """
        return self.out_dir / kind / f'{name}{SUFFIXES[kind]}'

    def finished(self, name: str) -> bool:
        """Tell whether all files of a picture are there.

        Args:
            name: Of the picture.
        """
        return all(self.path(kind, name).is_file() for kind in self.kinds)

    def write(
        self,
        name: str,
        image: np.ndarray,
        mask: np.ndarray,
        overlay: np.ndarray,
        sample: SegDataSample,
    ) -> None:
        """Write the files of a picture.

        Args:
            name: Of the picture.
            image: The picture, RGB.
            mask: Class indices.
            overlay: The picture with its mask, RGB.
            sample: Prediction, with ``cams`` where maps are wanted.

        Shapes:
            image: ``(H, W, 3)`` uint8.
            mask: ``(H, W)`` uint8.
            overlay: ``(H, W, 3)`` uint8.

        Raises:
            MaskError: the mask cannot be written.
            UsageError: another file cannot be written, or the model gives no maps.
        """
        if 'cams' in self.kinds and 'cams' not in sample:
            # every picture would be refused
            self._remove_empty()
            raise UsageError(
                'The model predicts no class activation maps: leave maps out, or, for one that '
                "has them, set the option model.test_cfg.output to 'cam'."
            )
        try:
            if 'cams' in self.kinds:
                self._write_cams(name, image, sample)
            _write_picture(self.path('overlays', name), overlay)
            write_mask_file(self.path('masks', name), mask, self.classes.palette)
        except OSError as error:
            raise UsageError(
                system_sentence(error)
                or f'The files of {name} in {self.out_dir} cannot be written ({error}).'
            ) from error

    def _remove_empty(self) -> None:
        """Remove the folders that were made for files that there will not be."""
        for folder in reversed(self._made):
            with suppress(OSError):
                folder.rmdir()

    def _write_cams(self, name: str, image: np.ndarray, sample: SegDataSample) -> None:
        path = self.path('cams', name)
        CAMWriter(str(path.parent)).process(
            None, [{**sample.to_dict(), 'img_path': f'{path.stem}.png'}]
        )
        if 'heat_maps' in self.kinds:
            painted = paint_cams(image, *read_cam_file(path), self.classes.classes)
            _write_picture(self.path('heat_maps', name), painted)


def _write_picture(path: Path, picture: np.ndarray) -> None:
    data = encode_picture(picture, path.suffix, [cv2.IMWRITE_JPEG_QUALITY, 92])
    with atomic_write(path) as file:
        file.write(data)
