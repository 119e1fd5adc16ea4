"""Checkpoints and logs in the folder of a training."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path

from mmwsss.utils import atomic_write

NOTE = 'last_checkpoint'
SAVED = re.compile(r'(?:iter|epoch)_(\d+)')
TAIL = 1 << 14


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the latest complete checkpoint, or None.

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
    """Correct the note of the latest checkpoint, or remove it if there is no checkpoint.

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


def iterations_done(folder: Path) -> int:
    """Return the last iteration in MMEngine's file of scalars; 0 if there is none.

    Args:
        folder: Of the training, with the scalars of each start in ``{time}/vis_data``.
    """
    for path in sorted(folder.glob('*/vis_data/scalars.json'), reverse=True):
        with open(path, 'rb') as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            lines = file.read().decode(errors='replace').splitlines()
        for line in reversed(lines):
            # the first or the last line may be a part of one
            with suppress(ValueError):
                entry = json.loads(line)
                # validation counts in its own way
                if isinstance(entry, dict) and 'loss' in entry:
                    return entry['step']
    return 0
