"""Reading of maps together with their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmwsss.datasets.decoding import turned_note
from mmwsss.datasets.transforms import decode_image
from mmwsss.utils import read_content

from .cam_files import CAMFileError, read_cam_file


def check_cam_size(
    cam_path: str | Path, cams: np.ndarray, image_path: str | Path, size: tuple[int, int]
) -> None:
    """Check that maps have the size of their image.

    Args:
        cam_path: File of the maps, for the error.
        image_path: File of the image, for the error.
        size: Height and width of the image.

    Shapes:
        cams: ``(n, H, W)``.

    Raises:
        CAMFileError: the sizes differ.
    """
    if cams.shape[1:] != tuple(size):
        raise CAMFileError(
            f'{cam_path}: the maps are {cams.shape[2]} x {cams.shape[1]} where the image '
            f'{image_path} is {size[1]} x {size[0]}'
            f'{turned_note(size, cams.shape[1:])}: give the images that the maps were made of.'
        )


def read_image_and_cams(
    image_path: str | Path, cam_path: str | Path, num_classes: int | None = None
) -> tuple[Tensor, np.ndarray, Tensor]:
    """Read an image and its maps.

    Args:
        cam_path: File in the ``npz`` layout.
        num_classes: Number of classes including background, for checking the keys.

    Shapes:
        returns: image ``(3, H, W)`` uint8 RGB, keys ``(n,)`` int64, maps ``(n, H, W)`` float32.

    Raises:
        CAMFileError: the file of maps is not valid, or its size differs from the image.
        ImageFileError: the image cannot be read.
        OSError: a file is missing.
    """
    keys, cams = read_cam_file(cam_path, num_classes)
    image = decode_image(read_content(image_path), str(image_path))
    check_cam_size(cam_path, cams, image_path, image.shape[:2])
    rgb = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())
    return rgb, keys, torch.from_numpy(cams).float()
