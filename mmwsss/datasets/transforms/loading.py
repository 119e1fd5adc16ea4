"""Loading of images and masks that reads them correctly or says what is wrong."""

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

# ImageNet's mean colour (RGB): what is transparent becomes 0 when an image is normalised
TRANSPARENT_COLOR = (124, 116, 104)
_ORIENTATION_TAG = 0x0112
_MODES_8_BIT = ('1', 'L', 'P', 'RGB', 'RGBA', 'LA', 'PA', 'La', 'RGBa', 'CMYK', 'YCbCr', 'RGBX')

_MODES_OTHER = ('LAB', 'HSV')


class ImageFileError(FileProblemError):
    """An image file that cannot be used; the text names the file."""


def _check_depth(image: Image.Image, path: str) -> None:
    """Refuse what has more than 8 bits a channel, which PIL would cut without a word."""
    raw_modes = ' '.join(str(tile[3]) for tile in getattr(image, 'tile', ()))
    if image.mode in _MODES_OTHER:
        raise ImageFileError(
            f'image {path} has pixels of mode {image.mode} where greyscale, RGB or CMYK is '
            'expected',
            advice='save it as RGB.',
        )
    if image.mode not in _MODES_8_BIT or ';16' in raw_modes:
        raise ImageFileError(
            f'image {path} has pixels of mode {image.mode} with more than 8 bits a channel where '
            '8-bit greyscale or colour is expected',
            advice='convert the file, choosing the range.',
        )


def _upright(image: Image.Image) -> Image.Image:
    """Apply the orientation of EXIF, where it can be read."""
    orientation = 1
    # a damaged EXIF block is no reason to refuse the picture
    with contextlib.suppress(Exception):
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    return ImageOps.exif_transpose(image) if orientation in range(2, 9) else image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any 8-bit mode to RGB, transparency over the mean colour."""
    if image.mode in ('RGBA', 'LA', 'PA', 'La', 'RGBa') or 'transparency' in image.info:
        image = image.convert('RGBA')
        canvas = Image.new('RGB', image.size, TRANSPARENT_COLOR)
        canvas.paste(image, mask=image.getchannel('A'))
        return canvas
    return image if image.mode == 'RGB' else image.convert('RGB')


def decode_image(content: bytes, path: str) -> NDArray[np.uint8]:
    """Decode an image file.

    Greyscale, palette and CMYK become colour, EXIF's orientation is applied, and transparent
    parts are laid over ImageNet's mean colour.

    Args:
        content: The file.
        path: Its path, for errors.

    Shapes:
        returns: ``(H, W, 3)`` uint8, BGR.

    Raises:
        ImageFileError: truncated, no image, or more than 8 bits a channel.
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
    """Load an image as 8-bit BGR, correctly whatever its kind, or say what is wrong with it.

    OpenCV returns a half grey picture for a truncated file and PIL cuts 16 bits; both are errors
    here. Greyscale, palette, CMYK and transparent pictures are converted, see
    :func:`decode_image`. Adds ``img``, ``img_shape`` and ``ori_shape``.

    Args:
        to_float32: Convert the image to float32.
        backend_args: Arguments of MMEngine's file backend.

    Raises:
        FileNotFoundError: the image does not exist.
        ImageFileError: truncated, no image, or more than 8 bits a channel.
    """

    def __init__(self, to_float32: bool = False, *, backend_args: dict | None = None) -> None:
        super().__init__(to_float32=to_float32, backend_args=backend_args)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the image of a data info.

        Args:
            results: Data info with ``img_path``.
        """
        path = results['img_path']
        try:
            content = read_content(path, self.backend_args)
        except OSError as error:
            raise FileNotFoundError(
                f'image {path} cannot be read ({error.strerror or error}): check data_root and '
                "data_prefix['img_path'], or take it out of the split."
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
    """Load the index mask of an image and check it, for evaluation.

    Takes the place of MMSeg's ``LoadAnnotations``; no pipeline for training on weak labels has
    it. Adds ``gt_seg_map`` and appends its name to ``seg_fields``.

    Args:
        backend_args: Arguments of MMEngine's file backend.

    Raises:
        MaskError: the data set has no masks; the mask is missing, unreadable, coloured, of another
            size than the image, or has values that are no class.
    """

    def __init__(self, *, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the mask of a data info.

        Args:
            results: Data info with ``seg_map_path``, and ``ori_shape`` where the image is loaded.
        """
        path = results.get('seg_map_path')
        if path is None:
            raise MaskError(
                f'image {results.get("img_path")} has no seg_map_path: name the folder of the '
                "masks in the data set's data_prefix (seg_map_path), or take LoadMaskChecked out "
                'of the pipeline.'
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
        """Refuse a mask whose size is not that of the image as it was loaded."""
        shape = tuple(results.get('ori_shape', mask.shape)[:2])
        if mask.shape != shape:
            (height, width), (rows, columns) = shape, mask.shape
            turned = turned_note(shape, mask.shape)
            raise MaskError(
                f'mask {path} is {columns} x {rows} but its image {results.get("img_path")} is '
                f'{width} x {height}{turned}: make a mask of the same size.'
            )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'
