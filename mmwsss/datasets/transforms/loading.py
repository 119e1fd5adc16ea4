"""Transforms that load images and masks and check them."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.loading import LoadImageFromFile
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mmwsss.utils import FileProblemError, read_content

from ..decoding import decoding_problem, turned_note
from ..masks import MaskError, read_mask

# mean colour of ImageNet (RGB), so that transparent pixels are 0 after normalisation
TRANSPARENT_COLOR = (124, 116, 104)
_ORIENTATION_TAG = 0x0112
_MODES_8_BIT = ('1', 'L', 'P', 'RGB', 'RGBA', 'LA', 'PA', 'La', 'RGBa', 'CMYK', 'YCbCr', 'RGBX')

_MODES_OTHER = ('LAB', 'HSV')


class ImageFileError(FileProblemError):
    """An image file that cannot be used; the message names the file."""


def _check_depth(image: Image.Image, path: str) -> None:
    """Reject images with more than 8 bits per channel, which PIL would truncate silently."""
    raw_modes = ' '.join(str(tile[3]) for tile in getattr(image, 'tile', ()))
    if image.mode in _MODES_OTHER:
        raise ImageFileError(
            f'image {path} has pixels of mode {image.mode}, but must be greyscale, RGB or CMYK',
            advice='save it as RGB.',
        )
    if image.mode not in _MODES_8_BIT or ';16' in raw_modes:
        raise ImageFileError(
            f'image {path} has pixels of mode {image.mode} with more than 8 bits per channel, but '
            'must be 8-bit greyscale or colour',
            advice='convert the file and choose the range.',
        )


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation if it is readable."""
    orientation = 1
    # images with damaged EXIF data are still usable
    with contextlib.suppress(Exception):
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    return ImageOps.exif_transpose(image) if orientation in range(2, 9) else image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any 8-bit mode to RGB, with the mean colour behind transparent pixels."""
    if image.mode in ('RGBA', 'LA', 'PA', 'La', 'RGBa') or 'transparency' in image.info:
        image = image.convert('RGBA')
        canvas = Image.new('RGB', image.size, TRANSPARENT_COLOR)
        canvas.paste(image, mask=image.getchannel('A'))
        return canvas
    return image if image.mode == 'RGB' else image.convert('RGB')


def decode_image(content: bytes, path: str) -> NDArray[np.uint8]:
    """Decode an image file.

    Greyscale, palette and CMYK images become BGR, the EXIF orientation is applied, and transparent
    pixels are blended with the mean colour of ImageNet.

    Args:
        content: Content of the file.
        path: Path of the file, for error messages.

    Shapes:
        returns: ``(H, W, 3)`` uint8, BGR.

    Raises:
        ImageFileError: the file is truncated, not an image, or has more than 8 bits per channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(content)) as image:
                _check_depth(image, path)
                image.load()
                rgb = np.asarray(_to_rgb(_upright(image)))
    except ImageFileError:
        raise
    except Exception as error:
        # the decoders of PIL raise many types: OSError, SyntaxError, struct.error ...
        problem, advice = decoding_problem(
            error, 'fetch the file again, or take it out of the split.'
        )
        raise ImageFileError(f'image {path} {problem}', advice=advice) from error
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), dtype=np.uint8)


@TRANSFORMS.register_module()
class LoadImageChecked(LoadImageFromFile):
    """Load an image of any format as 8-bit BGR, or raise an error if it is damaged.

    Truncated files, for which OpenCV returns partly grey images, and 16-bit images, which PIL
    truncates, are errors. Greyscale, palette, CMYK and transparent images are converted, see
    :func:`decode_image`. Adds ``img``, ``img_shape`` and ``ori_shape``.

    Args:
        backend_args: Arguments of MMEngine's file backend.

    Raises:
        FileNotFoundError: the image does not exist.
        ImageFileError: it is truncated, not an image, or has more than 8 bits per channel.
    """

    def __init__(self, to_float32: bool = False, *, backend_args: dict | None = None) -> None:
        super().__init__(to_float32=to_float32, backend_args=backend_args)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the image at ``img_path``."""
        path = results['img_path']
        try:
            content = read_content(path, self.backend_args)
        except OSError as error:
            raise FileNotFoundError(
                f'image {path} cannot be read ({error.strerror or error}): check data_root and '
                "data_prefix['img_path'], or remove it from the split."
            ) from error
        image = decode_image(content, str(path))
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(to_float32={self.to_float32}, backend_args={self.backend_args})'
        )


@TRANSFORMS.register_module()
class LoadMaskChecked(BaseTransform):
    """Load and check the index mask of an image, for evaluation.

    Replaces MMSeg's ``LoadAnnotations``. Training pipelines with weak labels do not use it. Adds
    ``gt_seg_map`` and appends its name to ``seg_fields``.

    Args:
        backend_args: Arguments of MMEngine's file backend.

    Raises:
        MaskError: the data set has no masks; the mask is missing, unreadable, coloured, has values
            that are no class, or its size differs from that of the image.
    """

    def __init__(self, *, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the mask at ``seg_map_path``; its size is compared with ``ori_shape`` if present."""
        path = results.get('seg_map_path')
        if path is None:
            raise MaskError(
                f'image {results.get("img_path")} has no seg_map_path: set seg_map_path in the '
                'data_prefix of the data set to the folder of the masks, or remove LoadMaskChecked '
                'from the pipeline.'
            )
        label_map = results.get('label_map')
        num_classes = results.get('num_classes') if label_map is None else len(label_map)
        mask, _ = read_mask(path, num_classes, backend_args=self.backend_args)
        self._check_size(mask, path, results)
        if label_map is not None:
            table = np.arange(256, dtype=np.uint8)
            for old, new in label_map.items():
                table[old] = new
            mask = table[mask]
        results['gt_seg_map'] = mask
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    @staticmethod
    def _check_size(mask: NDArray[np.uint8], path: str, results: dict[str, Any]) -> None:
        """Check that the mask has the size of the image file."""
        shape = tuple(results.get('ori_shape', mask.shape)[:2])
        if mask.shape != shape:
            (height, width), (rows, columns) = shape, mask.shape
            turned = turned_note(shape, mask.shape)
            raise MaskError(
                f'mask {path} is {columns} x {rows} but its image {results.get("img_path")} is '
                f'{width} x {height}{turned}: create a mask of the same size.'
            )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'
