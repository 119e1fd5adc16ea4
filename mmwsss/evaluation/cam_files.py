"""Files with the class activation maps of one image, in this project's and other layouts."""

from __future__ import annotations

import os
import pickle
from typing import IO, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmwsss.utils import FileProblemError, atomic_write
from mmwsss.utils.arrays import read_arrays

VERSION = 1
SUFFIXES = dict(npz='.npz', irn='.npy', psa='.npy')
DTYPES = ('float16', 'float32')
IRN_STRIDE = 4


class CAMFileError(FileProblemError):
    """A file of class activation maps that is damaged or not valid."""


class _TensorPickler(pickle.Pickler):
    """Pickle tensors by value; torch's default writes memory addresses."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            return torch.Tensor, (obj.numpy(),)
        return NotImplemented


def _save_object(file: IO[bytes], value: dict) -> None:
    """Write a dict as ``np.save`` does, for ``np.load(path, allow_pickle=True).item()``."""
    array = np.array(value, dtype=object)
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header)
    _TensorPickler(file, protocol=4).dump(array)


def _write_npz(file: IO[bytes], keys: np.ndarray, cams: np.ndarray) -> None:
    np.savez(file, keys=keys, cams=cams, version=np.int64(VERSION))


def _write_irn(file: IO[bytes], keys: np.ndarray, cams: np.ndarray) -> None:
    """IRN: ``keys``, ``cam`` (tensor at a quarter of the size) and ``high_res``, in [0, 1]."""
    high_res = torch.from_numpy(cams).clamp(min=0)
    size = [(n - 1) // IRN_STRIDE + 1 for n in cams.shape[1:]]
    strided = high_res.new_zeros((0, *size))
    if len(keys):
        strided = F.interpolate(high_res[None], size, mode='bilinear', align_corners=False)[0]
    _save_object(file, dict(keys=keys, cam=strided, high_res=high_res.numpy()))


def _write_psa(file: IO[bytes], keys: np.ndarray, cams: np.ndarray) -> None:
    """PSA and SEAM: one float32 map per class, by foreground index."""
    _save_object(file, {int(key): cams[i] for i, key in enumerate(keys)})


_WRITERS = dict(npz=_write_npz, irn=_write_irn, psa=_write_psa)


def cam_file_name(image_id: str, layout: str = 'npz') -> str:
    """Return the file name of the maps of an image.

    Args:
        image_id: Name of the image without extension.
        layout: ``npz``, ``irn`` or ``psa``.

    Raises:
        ValueError: ``layout`` is unknown.
    """
    if layout not in SUFFIXES:
        raise ValueError(f'format must be one of {", ".join(SUFFIXES)}, got {layout!r}.')
    return image_id + SUFFIXES[layout]


def write_cam_file(
    path: str | os.PathLike[str],
    keys: np.ndarray,
    cams: np.ndarray,
    *,
    layout: str = 'npz',
    dtype: str = 'float16',
) -> None:
    """Write the class activation maps of one image; the output is deterministic.

    ``npz`` is this project's layout: ``keys``, ``cams`` and ``version``. The other two are
    float32 dicts, loaded with ``np.load(path, allow_pickle=True).item()``:

    - ``irn`` (Ahn et al., CVPR 2019): ``keys`` as here; ``cam``, a tensor
      ``(n, ceil(H / 4), ceil(W / 4))``; ``high_res``, ``(n, H, W)``; both clipped to [0, 1].
    - ``psa`` (Ahn and Kwak, CVPR 2018; SEAM too): class index -> ``(H, W)``.

    Args:
        path: File to write; replaced atomically.
        keys: Foreground indices of the maps.
        cams: Normalised maps.
        layout: ``npz``, ``irn`` or ``psa``.
        dtype: ``float16`` or ``float32``, for ``npz``.

    Shapes:
        keys: ``(n,)`` integers.
        cams: ``(n, H, W)`` float.

    Raises:
        ValueError: ``layout`` or ``dtype`` is unknown, or a shape is wrong.
        CAMFileError: a value is NaN, infinite or too large for ``dtype``.
    """
    cam_file_name('', layout)
    if dtype not in DTYPES:
        raise ValueError(f'dtype must be one of {", ".join(DTYPES)}, got {dtype!r}.')
    keys = np.asarray(keys, dtype=np.int64)
    if layout == 'npz':
        # a map that is the same everywhere has scores far below 0, which float16 does not reach
        cams = np.where(np.isfinite(cams), np.maximum(cams, np.finfo(dtype).min), cams)
    with np.errstate(over='ignore'):
        cams = np.ascontiguousarray(cams, dtype=dtype if layout == 'npz' else np.float32)
    if keys.ndim != 1 or cams.ndim != 3 or len(keys) != len(cams):
        raise ValueError(
            f'{path}: keys (n,) and cams (n, H, W) do not fit together: got {keys.shape} and '
            f'{cams.shape}.'
        )
    _check_finite(path, cams, 'is not written: look for such values in the weights of the model')
    with atomic_write(path) as file:
        _WRITERS[layout](file, keys, cams)


def read_cam_file(
    path: str | os.PathLike[str], num_classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read and check a file in the ``npz`` layout, without executing pickled code.

    Args:
        num_classes: Number of classes including background, for checking the keys.

    Shapes:
        returns: keys ``(n,)`` int64 and cams ``(n, H, W)`` float16 or float32.

    Raises:
        FileNotFoundError: the file does not exist.
        CAMFileError: the file is truncated, has another type or version, or is inconsistent.
    """
    try:
        version, keys, cams = read_arrays(path, ('version', 'keys', 'cams'))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise CAMFileError(
            f'{path} is damaged or no CAM file ({error}): delete it and run tools/make_cams.py '
            'again.'
        ) from error
    if version.shape != () or version != VERSION:
        raise CAMFileError(
            f'{path} has version {version}, this program reads version {VERSION}: make it again '
            'with tools/make_cams.py --overwrite.'
        )
    _check(path, keys, cams, num_classes)
    return keys, cams


def _check_finite(path: str | os.PathLike[str], cams: np.ndarray, advice: str) -> None:
    if not np.isfinite(cams).all():
        raise CAMFileError(f'{path} has maps with NaN or infinity and {advice}.')


def _check(
    path: str | os.PathLike[str], keys: np.ndarray, cams: np.ndarray, num_classes: int | None
) -> None:
    if keys.ndim != 1 or keys.dtype != np.int64:
        raise CAMFileError(f'{path}: keys must be (n,) int64, got {keys.shape} {keys.dtype}.')
    if cams.dtype.name not in DTYPES or cams.ndim != 3 or len(cams) != len(keys):
        raise CAMFileError(
            f'{path}: cams must be ({len(keys)}, H, W) float16 or float32, got {cams.shape} '
            f'{cams.dtype}.'
        )
    _check_finite(path, cams, 'cannot be used: delete it and run tools/make_cams.py again')
    if len(np.unique(keys)) != len(keys):
        raise CAMFileError(f'{path}: a class occurs twice among the keys {keys.tolist()}.')
    if num_classes is None or not len(keys):
        return
    if not 0 <= keys.min() <= keys.max() < num_classes - 1:
        raise CAMFileError(
            f'{path}: keys {keys.tolist()} must lie in 0 to {num_classes - 2}, for the '
            f'{num_classes - 1} foreground classes.'
        )
