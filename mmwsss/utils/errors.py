"""Errors caused by users, which the tools print as one sentence instead of a traceback."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from traceback import walk_tb
from typing import Any

# errors of the operating system on files, by remedy
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_UNUSABLE = (
    errno.EIO,
    errno.EEXIST,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EINVAL,
    errno.EMFILE,
    errno.ENFILE,
)
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory|Cannot allocate")
_KILLED = re.compile(r'DataLoader worker .*(killed by signal|exited unexpectedly)')
# PyTorch's messages for images smaller than a kernel or a stride
_TOO_SMALL = re.compile(
    r"Kernel size can't be greater|output size is too small|should be greater than 0|"
    r'padding size should be less|non-empty 3D or 4D|must be greater than the size of',
    re.IGNORECASE,
)
_NOT_SAVED = re.compile(r'PytorchStreamWriter failed|unexpected pos \d+ vs')
# functions of MMEngine that build objects from configs
_BUILDERS = ('build_from_cfg', 'build_dataloader', 'from_cfg')


class FileProblemError(ValueError):
    """A file that cannot be used; the message names the file, the problem and the remedy.

    Args:
        text: The problem, or the whole message.
        place: The file, and the line or entry in it.
        details: Further text of the message, omitted in a list of many problems.
        advice: The remedy, with the full stop.
        kind: Heading in a list of problems; the heading of the class by default.

    Example:
        >>> error = FileProblemError('is empty', 'a.csv, line 2', advice='fill it.')
        >>> str(error), error.problem
        ('a.csv, line 2: is empty: fill it.', 'a.csv, line 2: is empty')
    """

    kind = ''

    def __init__(
        self,
        text: str,
        place: str | os.PathLike[str] = '',
        *,
        details: str = '',
        advice: str = '',
        kind: str = '',
    ) -> None:
        self.problem = f'{place}: {text}' if place else text
        self.details, self.advice = details, advice
        self.kind = kind or self.kind
        sentence = f'{self.problem}; {details}' if details else self.problem
        super().__init__(f'{sentence}: {advice}' if advice else sentence)


class ModelMismatchError(FileProblemError):
    """Data and model do not match; the message names the setting."""


def problem_sentence(error: Exception) -> str | None:
    r"""Return the message of an error about a file of the user, None for any other error.

    Also handles errors from worker processes of a data loader, whose message includes a traceback.

    Example:
        >>> problem_sentence(FileNotFoundError('a.jpg is missing: add it.'))
        'a.jpg is missing: add it.'
        >>> problem_sentence(FileNotFoundError(2, 'No such file or directory'))
    """
    # a FileNotFoundError raised by the system is a bug of ours and needs the traceback
    missing = isinstance(error, FileNotFoundError) and error.errno is None
    if not missing and not isinstance(error, FileProblemError):
        return None
    text = str(error).rstrip()
    if '\nOriginal Traceback' in text:
        text = text.splitlines()[-1].partition(': ')[2]
    return None if text.startswith('[Errno') else text


def system_sentence(error: OSError) -> str | None:
    """Return the sentence for an error of the operating system, such as a full disk, or None.

    Example:
        >>> system_sentence(OSError(28, 'No space left on device', 'out/a.png'))
        'out/a.png cannot be written (No space left on device): make room, or use another folder; \
finished files are kept.'
    """
    name = 'A file or the output' if error.filename is None else str(error.filename)
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return (
            f'{name} cannot be written ({reason}): make room, or use another folder; finished '
            'files are kept.'
        )
    if error.errno in _FORBIDDEN:
        return (
            f'{name} cannot be read or written ({reason}): change its permissions, or use another '
            'file or folder.'
        )
    if error.errno in _UNUSABLE and error.filename is not None:
        return f'{name} cannot be used ({reason}): check the path, or use another one.'
    return None


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error means out of memory, on any device."""
    if isinstance(error, MemoryError) or type(error).__name__ == 'OutOfMemoryError':
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    kind = type(error).__module__ == 'cv2' or isinstance(error, RuntimeError)
    return kind and bool(_NO_MEMORY.search(str(error)) or 'Insufficient memory' in str(error))


def too_small(error: BaseException, pictures: str) -> str | None:
    """Return the sentence for images that are too small for a network, None for another error.

    Args:
        pictures: Names of the images.
    """
    if not isinstance(error, RuntimeError) or not _TOO_SMALL.search(str(error)):
        return None
    return (
        f'{pictures}: too small for the network: remove images with a side of less than 32 pixels, '
        'or enlarge them.'
    )


def _batch_images(error: BaseException) -> list[str]:
    """Return the paths of the images of MMEngine's current batch, as far as they are known."""
    found: list[Any] = []
    for frame, _ in walk_tb(error.__traceback__):
        batch = frame.f_locals.get('data_batch')
        if frame.f_code.co_name == 'run_iter' and isinstance(batch, dict):
            found = list(batch.get('data_samples') or ())
    # test-time augmentation has a list of views per image
    samples = [one for part in found for one in (part if isinstance(part, list) else [part])]
    return list(dict.fromkeys(str(getattr(sample, 'img_path', '')) for sample in samples))


def _build_calls(error: BaseException) -> Iterator[dict[str, Any]]:
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code.co_name in _BUILDERS and 'mmengine' in frame.f_code.co_filename:
            yield frame.f_locals


def config_sentence(error: BaseException) -> str | None:
    """Return the sentence for an error raised while MMEngine built an object, None otherwise."""
    if not isinstance(error, (TypeError, ValueError, KeyError, AssertionError, AttributeError)):
        return None
    calls = list(_build_calls(error))
    if not calls:
        return None
    kinds = [str(call['cfg']['type']) for call in calls if 'type' in (call.get('cfg') or {})]
    text = ' '.join(str(error.args[0] if error.args else error).split()).rstrip('.')
    text = re.sub(r'^(class `\w+` in \S+: )+', '', text)
    where = f' ({kinds[-1]})' if kinds and not text.startswith(kinds[-1]) else ''
    return f'The config cannot be used{where}: {text}; correct this entry, or its --cfg-options.'


def user_sentence(error: Exception) -> str | None:
    """Return the sentence for an error caused by the user, None for a bug."""
    if sentence := problem_sentence(error):
        return sentence
    if lacks_memory(error):
        return (
            f'Out of memory ({str(error).splitlines()[0][:120] or "none is left"}): use smaller '
            'images or batches, or fewer --workers; finished files are kept.'
        )
    if isinstance(error, OSError):
        return system_sentence(error)
    images = ', '.join(filter(None, _batch_images(error)[:3])) or 'The images'
    if sentence := too_small(error, images):
        return sentence
    text = str(error)
    if _KILLED.search(text):
        return (
            'A worker process of the data loader was killed, possibly out of memory: set '
            'num_workers=0 of the data loader in --cfg-options, or use smaller batches.'
        )
    if _NOT_SAVED.search(text):
        return 'A checkpoint cannot be written: make room, or use another folder.'
    return config_sentence(error)
