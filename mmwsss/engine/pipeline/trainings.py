"""What a training leaves in its folder: checkpoints and a log."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmwsss.utils import atomic_write

NOTE = 'last_checkpoint'
SAVED = re.compile(r'(?:iter|epoch)_(\d+)')
TAIL = 1 << 14
ITERATION = re.compile(r'Iter\(train\) +\[ *(\d+)/\d+\]|Epoch\(train\) +\[(\d+)\]\[ *(\d+)/(\d+)\]')


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the latest checkpoint that is whole, None where there is none.

    The folder may have been moved since, and a process that is killed may leave an empty note, or
    one of a checkpoint that was removed for one that is not whole.

    Args:
        folder: Of the training.
    """
    note = folder / NOTE
    if not note.is_file():
        return None
    if name := Path(note.read_text().strip()).name:
        return folder / name if (folder / name).is_file() else None
    # the checkpoint was whole before its note was begun
    found = {path: SAVED.fullmatch(path.stem) for path in folder.glob('*.pth')}
    numbers = {path: int(match[1]) for path, match in found.items() if match}
    return max(numbers, key=numbers.__getitem__, default=None)


def mend_note(folder: Path) -> None:
    """Make the note of the latest checkpoint name it, or remove the note where there is none.

    Args:
        folder: Of the training.

    Raises:
        OSError: the note cannot be written.
    """
    note, latest = folder / NOTE, latest_checkpoint(folder)
    if latest is None:
        note.unlink(missing_ok=True)
    elif note.read_text().strip() != str(latest):
        with atomic_write(note, 'w') as file:
            file.write(str(latest))


def iterations_done(log: Path) -> int:
    """Return the number of the last iteration in a log, 0 where there is none.

    Args:
        log: What the training printed.
    """
    try:
        with open(log, 'rb') as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            text = file.read().decode(errors='replace')
    except FileNotFoundError:
        return 0
    found = 0
    for match in ITERATION.finditer(text):
        iteration, epoch, step, steps = (int(group or 0) for group in match.groups())
        found = iteration or (epoch - 1) * steps + step
    return found
