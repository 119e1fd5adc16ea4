"""Reader of MXNet's ``.params`` files that needs no MXNet and runs nothing from the file."""

from __future__ import annotations

import mmap
import os
import struct
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmwsss.utils import check_regular

LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE = 0
_MAX_DIMS = 32
# by MXNet's type flag; all files are little-endian
_DTYPES = ('<f4', '<f8', '<f2', 'u1', '<i4', 'i1', '<i8', '?')


class MXNetFileError(ValueError):
    """A file that is no MXNet parameter file, or a damaged one; the text names the file."""


class _Reader:
    """Walks through the bytes of a file and never past their end.

    Args:
        buffer: Content of the file.
        path: The file, for errors.
    """

    def __init__(self, buffer: mmap.mmap | bytes, path: Path) -> None:
        self.buffer, self.path = buffer, path
        self.position, self.size = 0, len(buffer)

    def fail(self, reason: str) -> MXNetFileError:
        """Return the error to raise."""
        return MXNetFileError(
            f'{self.path}: {reason}: give an MXNet parameter file (.params), or download it again.'
        )

    def skip(self, length: int, what: str) -> int:
        """Go on by so many bytes and return where they start."""
        start = self.position
        if length > self.size - start:
            raise self.fail(
                f'{what} needs {length} bytes at byte {start} where {self.size - start} are left, '
                'so it is truncated or no MXNet file'
            )
        self.position += length
        return start

    def numbers(self, code: str, what: str) -> tuple[int, ...]:
        """Read numbers, their types as in :mod:`struct`."""
        start = self.skip(struct.calcsize(f'<{code}'), what)
        return struct.unpack_from(f'<{code}', self.buffer, start)

    def shape(self, ndim: int, code: str, what: str) -> tuple[int, ...]:
        """Read the lengths of so many dimensions."""
        if not 0 < ndim <= _MAX_DIMS:
            raise self.fail(f'{what} has {ndim} dimensions where 1 to {_MAX_DIMS} are expected')
        shape = self.numbers(f'{ndim}{code}', what)
        if min(shape) < 1:
            raise self.fail(f'{what} has the shape {shape} where positive lengths are expected')
        return shape

    def array(self, what: str) -> NDArray:
        """Read an array of any version of the format."""
        (magic,) = self.numbers('I', what)
        if magic in (_V2, _V3):
            (storage,) = self.numbers('i', what)
            if storage != _DENSE:
                raise self.fail(f'{what} has storage type {storage}, only dense (0) can be read')
        if magic in (_V1, _V2, _V3):
            (ndim,) = self.numbers('i', what)
            # of NumPy's semantics, a number has no dimension
            shape = () if (magic, ndim) == (_V3, 0) else self.shape(ndim, 'q', what)
        else:
            # before version 1 the number of dimensions stood in the place of the magic
            shape = self.shape(magic, 'I', what)
        _, _, flag = self.numbers('3i', what)  # device type, device number, data type
        if not 0 <= flag < len(_DTYPES):
            raise self.fail(f'{what} has the unknown data type {flag}')
        dtype = np.dtype(_DTYPES[flag])
        count = 1
        for length in shape:
            count *= length
        start = self.skip(count * dtype.itemsize, f'{what} of shape {shape}')
        values = np.frombuffer(self.buffer, dtype, count, start)
        return values.reshape(shape).astype(dtype.newbyteorder('='))  # a copy, aligned

    def name(self, what: str) -> str:
        """Read a text."""
        (length,) = self.numbers('Q', what)
        start = self.skip(length, what)
        try:
            return bytes(self.buffer[start : start + length]).decode()
        except UnicodeDecodeError as error:
            raise self.fail(f'{what} is not text') from error

    def file(self) -> dict[str, NDArray]:
        """Read the whole file."""
        magic, _, count = self.numbers('3Q', 'the header')
        if magic != LIST_MAGIC:
            raise self.fail(f'begins with {magic:#x} where {LIST_MAGIC:#x} is expected')
        # an array takes 20 bytes at least: no huge loop over what is not there
        if not 0 < count <= self.size // 20:
            raise self.fail(f'says to hold {count} arrays in {self.size} bytes')
        arrays = [self.array(f'array {i} of {count}') for i in range(1, count + 1)]
        (names_count,) = self.numbers('Q', 'the number of names')
        if names_count != count:
            raise self.fail(f'has {names_count} names for {count} arrays')
        names = [self.name(f'name {i} of {count}') for i in range(1, count + 1)]
        if len(set(names)) != count:
            twice = Counter(names).most_common(1)[0][0]
            raise self.fail(f'has the name {twice!r} twice')
        if self.position != self.size:
            raise self.fail(f'goes on for {self.size - self.position} bytes after its names')
        return dict(zip(names, arrays, strict=True))


def is_mxnet_params(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as MXNet's parameter files do.

    Args:
        path: The file.

    Raises:
        OSError: it cannot be read.
    """
    check_regular(path)
    with open(path, 'rb') as file:
        return file.read(8) == struct.pack('<Q', LIST_MAGIC)


def read_mxnet_params(path: str | os.PathLike[str]) -> dict[str, NDArray]:
    """Read the named arrays of an MXNet parameter file, of any version of the format.

    Every length is checked against the size of the file before anything is allocated.

    Source: ``NDArray::Load`` and ``NDArray::LegacyLoad`` in ``src/ndarray/ndarray.cc`` of
    https://github.com/apache/mxnet

    Args:
        path: The file.

    Returns:
        Name as written (``arg:conv1a_weight``) to array, in the order of the file.

    Raises:
        MXNetFileError: it is missing, truncated, no such file, or holds sparse arrays.
    """
    path = Path(path)
    try:
        check_regular(path)
        with open(path, 'rb') as file:
            if not os.fstat(file.fileno()).st_size:
                return _Reader(b'', path).file()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
                return _Reader(buffer, path).file()
    except OSError as error:
        raise MXNetFileError(
            f'{path}: cannot be read ({error.strerror or error}): give an MXNet parameter file.'
        ) from error
