"""Reader of a dict saved by ``np.save`` that never runs code from the file.

NumPy stores such a dict as a pickle, and unpickling calls whatever functions the file names. Here
only the few names that a dict of arrays needs are known, and even those are stand-ins that
collect data; no function of NumPy is called with what the file says.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from mmwsss.utils import read_content

from .common import LabelFileError

_KINDS = 'biufSU'
MAX_PARTS = 10_000


class _StandIn:
    """A callable that the unpickler may call but not change."""

    __slots__ = ('_function',)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError('the state of a function is set')


class _DType:
    """Collects the description of a data type."""

    def __init__(self, code: str, *_: Any) -> None:
        self._code, self._order = str(code), '='

    def __setstate__(self, state: tuple) -> None:
        self._order = str(state[1])

    def build(self) -> np.dtype:
        """Return the data type, of numbers or text only."""
        order = '' if self._order == '|' else self._order
        dtype = np.dtype(order + self._code)
        if dtype.kind not in _KINDS or dtype.itemsize == 0:
            raise pickle.UnpicklingError(f'an array of data type {dtype}')
        return dtype


class _Array:
    """Collects the parts of an array; ``build`` makes it a list or an array."""

    def __init__(self, *_: Any) -> None:
        self._state: tuple = ()

    def __setstate__(self, state: tuple) -> None:
        self._state = tuple(state)

    def build(self) -> Any:
        """Return the list of an object array, or an array of numbers."""
        shape, dtype, fortran, data = self._state[-4:]
        if isinstance(data, list):
            return data
        if isinstance(data, str):  # Python 2 wrote bytes as text
            data = data.encode('latin1')
        values = np.frombuffer(data, dtype=dtype.build())
        return values.reshape(shape, order='F' if fortran else 'C')


def _frombuffer(data: bytes, dtype: _DType, shape: tuple, order: str) -> _Array:
    array = _Array()
    array.__setstate__((shape, dtype, order == 'F', bytes(data)))
    return array


def _scalar(dtype: _DType, data: bytes | str = b'') -> Any:
    content = data.encode('latin1') if isinstance(data, str) else data
    return np.frombuffer(content, dtype=dtype.build(), count=1)[0].item()


def _encode(text: str, encoding: str) -> bytes:
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'encoding {encoding!r}')
    return text.encode('latin1')


_KNOWN: dict[tuple[str, str], Any] = {
    ('numpy', 'ndarray'): 'ndarray',
    ('numpy', 'dtype'): _StandIn(_DType),
    ('_codecs', 'encode'): _StandIn(_encode),
    ('collections', 'OrderedDict'): _StandIn(dict),
}
# the package was renamed in NumPy 2
_KNOWN |= {
    (f'{package}.{module}', name): stand_in
    for package in ('numpy.core', 'numpy._core')
    for module, name, stand_in in (
        ('multiarray', '_reconstruct', _StandIn(_Array)),
        ('multiarray', 'scalar', _StandIn(_scalar)),
        ('numeric', '_frombuffer', _StandIn(_frombuffer)),
    )
}


class _DictUnpickler(pickle.Unpickler):
    """Unpickler that knows no global but the stand-ins."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return _KNOWN[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f'{module_name}.{global_name}') from None


def _check_pickle(content: bytes) -> None:
    """Refuse what makes of a small file much memory, or takes long to become a key of a dict.

    Tuples that hold each other through the memo have no size of their own in the file, but
    what hashes or prints them goes through all that they hold.
    """
    stack: list[int] = []  # numbers of parts, 0 for a mark
    memo: dict[int, int] = {}
    for opcode, argument, _ in pickletools.genops(content):
        name, last = opcode.name, stack[-1] if stack else 1
        if name in ('PUT', 'BINPUT', 'LONG_BINPUT'):
            if int(argument or 0) > len(content):
                raise pickle.UnpicklingError(f'memo number {argument}')
            memo[int(argument or 0)] = last
        elif name == 'MEMOIZE':
            memo[len(memo)] = last
        elif name in ('GET', 'BINGET', 'LONG_BINGET'):
            stack.append(memo.get(int(argument or 0), 1))
        else:
            _follow(opcode, stack)
        if stack and stack[-1] > MAX_PARTS:
            raise pickle.UnpicklingError('tuples that hold each other')


def _follow(opcode: pickletools.OpcodeInfo, stack: list[int]) -> None:
    """Take from the stack what an operation takes, and put on it what it makes."""
    if opcode.name == 'MARK':
        stack.append(0)
        return
    taken = 0
    if pickletools.markobject in opcode.stack_before:
        while stack and (part := stack.pop()):
            taken += part
        before = opcode.stack_before.index(pickletools.markobject)
    else:
        before = len(opcode.stack_before)
    for _ in range(min(before, len(stack))):
        taken += stack.pop()
    made = 1 + taken if opcode.name.startswith(('TUPLE', 'FROZENSET', 'DUP')) else 1
    stack.extend([made] * len(opcode.stack_after))


def _read_pickle(path: Path) -> bytes:
    """Return what follows the header of an ``.npy`` file that holds one object."""
    try:
        stream = io.BytesIO(read_content(path))
        version = npy_format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = npy_format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = npy_format.read_array_header_2_0(stream)
    except Exception as error:
        # NumPy parses the header as a program text, with all errors that there are
        text = f'not a readable .npy file ({error})'
        raise LabelFileError(text, path, advice='give the file that np.save wrote.') from error
    if shape != () or dtype != np.dtype(object):
        raise LabelFileError(
            f'holds an array of shape {shape} and type {dtype} where a dict saved by np.save is '
            'expected, image name to multi-hot vector.',
            path,
        )
    return stream.read()


def load_npy_dict(path: Path) -> dict[Any, Any]:
    """Load a dict of arrays, lists or numbers that ``np.save`` wrote, running nothing in it.

    Args:
        path: The ``.npy`` file.

    Returns:
        The dict; arrays in it are arrays, everything else is as plain as it was.

    Raises:
        LabelFileError: no such file, or it holds anything but numbers, text, lists and dicts.
    """
    content = _read_pickle(path)
    try:
        _check_pickle(content)
        loaded = _DictUnpickler(io.BytesIO(content), encoding='latin1').load()
        if isinstance(loaded, _Array):
            (loaded,) = loaded.build()
        if isinstance(loaded, dict):
            return {
                key: value.build() if isinstance(value, _Array) else value
                for key, value in loaded.items()
            }
    except Exception as error:
        # what a broken or hostile pickle raises is not limited to a few types
        raise LabelFileError(
            f'not a plain dict of arrays (refused: {error}), nothing in it was run',
            path,
            advice='make the file again from a source that you trust.',
        ) from error
    raise LabelFileError(
        f'holds a {type(loaded).__name__} where a dict is expected, image name to multi-hot '
        'vector.',
        path,
    )
