"""Safe reading of arrays from untrusted ``.npz`` files, with bounded memory."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Sequence

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from .io import check_regular

# constant maps compress well, but not beyond this ratio
MAX_RATIO, FREE_BYTES = 200, 1 << 20


def _member(archive: zipfile.ZipFile, name: str, size: int) -> NDArray:
    info = archive.getinfo(f'{name}.npy')
    # both sizes are claims of the file
    if info.compress_size > size or info.file_size > MAX_RATIO * info.compress_size + FREE_BYTES:
        raise ValueError(
            f'{name} claims to be {info.file_size} bytes, compressed to {info.compress_size}'
        )
    with archive.open(info) as file:
        if npy_format.read_magic(file) == (1, 0):
            shape, fortran, dtype = npy_format.read_array_header_1_0(file)
        else:
            shape, fortran, dtype = npy_format.read_array_header_2_0(file)
        content = file.read()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) or not dtype.itemsize:
        raise ValueError(f'{name} is not an array of {dtype} with shape {shape}')
    return np.frombuffer(content, dtype).reshape(shape, order='F' if fortran else 'C').copy()


def read_arrays(path: str | os.PathLike[str], names: Sequence[str]) -> list[NDArray]:
    """Return the named arrays of an ``.npz`` file without executing anything in it.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is damaged or of another kind.
    """
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = os.path.getsize(path)
            return [_member(archive, name, size) for name in names]
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:
        # broken archives raise many types of errors
        raise ValueError(str(error) or type(error).__name__) from error
