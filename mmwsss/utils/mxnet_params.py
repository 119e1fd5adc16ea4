"""Safe reader of MXNet's ``.params`` files that does not need MXNet."""

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
# indexed by MXNet's type flag; all files are little-endian
_DTYPES = ('<f4', '<f8', '<f2', 'u1', '<i4', 'i1', '<i8', '?')


class MXNetFileError(ValueError):
    """A damaged MXNet parameter file or another kind of file; the message names the file."""


class _Reader:
    """Reads a buffer with bounds checks; ``path`` is for error messages."""

    def __init__(self, buffer: mmap.mmap | bytes, path: Path) -> None:
        self.buffer, self.path = buffer, path
        self.position, self.size = 0, len(buffer)

    def fail(self, reason: str) -> MXNetFileError:
        """Return the error to raise."""
        return MXNetFileError(
            f'{self.path}: {reason}: use an MXNet parameter file (.params), or download it again.'
        )

    def skip(self, length: int, what: str) -> int:
        """Advance by ``length`` bytes and return the previous position."""
        start = self.position
        if length > self.size - start:
            raise self.fail(
                f'{what} needs {length} bytes at byte {start}, but {self.size - start} are left, '
                'so it is truncated or not an MXNet file'
            )
        self.position += length
        return start

    def numbers(self, code: str, what: str) -> tuple[int, ...]:
        """Read numbers with the format ``code`` of :mod:`struct`."""
        start = self.skip(struct.calcsize(f'<{code}'), what)
        return struct.unpack_from(f'<{code}', self.buffer, start)

    def shape(self, ndim: int, code: str, what: str) -> tuple[int, ...]:
        """Read a shape of ``ndim`` dimensions."""
        if not 0 < ndim <= _MAX_DIMS:
            raise self.fail(f'{what} has {ndim} dimensions, but must have 1 to {_MAX_DIMS}')
        shape = self.numbers(f'{ndim}{code}', what)
        if min(shape) < 1:
            raise self.fail(f'{what} has shape {shape}, but lengths must be positive')
        return shape

    def array(self, what: str) -> NDArray:
        """Read an array in any version of the format."""
        (magic,) = self.numbers('I', what)
        if magic in (_V2, _V3):
            (storage,) = self.numbers('i', what)
            if storage != _DENSE:
                raise self.fail(
                    f'{what} has storage type {storage}, but only dense (0) is supported'
                )
        if magic in (_V1, _V2, _V3):
            (ndim,) = self.numbers('i', what)
            # version 3 has NumPy's semantics, where scalars have no dimensions
            shape = () if (magic, ndim) == (_V3, 0) else self.shape(ndim, 'q', what)
        else:
            # before version 1, the number of dimensions was in the place of the magic number
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
        """Read a string."""
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
            raise self.fail(f'starts with {magic:#x}, but must start with {LIST_MAGIC:#x}')
        # an array takes at least 20 bytes; prevents a huge loop on a wrong count
        if not 0 < count <= self.size // 20:
            raise self.fail(f'claims to hold {count} arrays in {self.size} bytes')
        arrays = [self.array(f'array {i} of {count}') for i in range(1, count + 1)]
        (names_count,) = self.numbers('Q', 'the number of names')
        if names_count != count:
            raise self.fail(f'has {names_count} names for {count} arrays')
        names = [self.name(f'name {i} of {count}') for i in range(1, count + 1)]
        if len(set(names)) != count:
            twice = Counter(names).most_common(1)[0][0]
            raise self.fail(f'has the name {twice!r} twice')
        if self.position != self.size:
            raise self.fail(f'has {self.size - self.position} extra bytes after its names')
        return dict(zip(names, arrays, strict=True))


def is_mxnet_params(path: str | os.PathLike[str]) -> bool:
    """Return whether a file starts like an MXNet parameter file.

    Raises:
        OSError: it cannot be read.
    """
    check_regular(path)
    with open(path, 'rb') as file:
        return file.read(8) == struct.pack('<Q', LIST_MAGIC)


def read_mxnet_params(path: str | os.PathLike[str]) -> dict[str, NDArray]:
    """Read the named arrays of an MXNet parameter file, in any version of the format.

    Every length is checked against the size of the file before memory is allocated.

    Source: ``NDArray::Load`` and ``NDArray::LegacyLoad`` in ``src/ndarray/ndarray.cc`` of
    https://github.com/apache/mxnet

    Returns:
        Arrays by name (``arg:conv1a_weight``), in the order of the file.

    Raises:
        MXNetFileError: the file is missing, truncated, of another kind, or holds sparse arrays.
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
            f'{path}: cannot be read ({error.strerror or error}): use an MXNet parameter file.'
        ) from error
