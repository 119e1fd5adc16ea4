"""Records of a stage: its settings at the start, and its output."""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mmwsss import __version__
from mmwsss.compat import installed_stacks
from mmwsss.errors import UsageError
from mmwsss.utils import atomic_write, read_utf8

FORMAT = 1
MANIFEST, STARTED = 'manifest.json', 'started.json'


def unwritable(path: str | Path, error: OSError) -> UsageError:
    """Return the error message for a file or folder that cannot be written.

    Args:
        path: The file.
        error: What went wrong.
    """
    return UsageError(
        f'{path} cannot be written ({error.strerror or error}): make room or set its permissions, '
        'then start again; what is finished stays.'
    )


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically.

    Args:
        path: The file.
        content: What to write.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with atomic_write(path, 'w') as file:
            json.dump(content, file, indent=2)
            file.write('\n')
    except OSError as error:
        raise unwritable(path, error) from error


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a manifest or the record of a started stage; None if there is none.

    Args:
        path: The file.

    Raises:
        UsageError: it is damaged, or of another version.
    """
    try:
        content = json.loads(read_utf8(path))
        found = content['format']
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f'{path} is damaged ({error}): remove it, and the stage runs again.'
        ) from error
    if found != FORMAT:
        raise UsageError(
            f'{path} has format {found}, this program reads {FORMAT}: name another --work-dir.'
        )
    return content


def new_record(
    digest: str, settings: Mapping[str, Any], inputs: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the record of a stage that starts anew.

    Args:
        digest: Hash of settings and inputs.
        settings: Settings of the stage.
        inputs: ``digest`` and ``run`` of each stage on which it depends.
    """
    return dict(
        format=FORMAT,
        digest=digest,
        # tells a run from another one of the same settings
        run=uuid.uuid4().hex,
        settings=settings,
        inputs=inputs,
        seconds=0.0,
    )


def versions() -> dict[str, str]:
    """Return the versions of the packages on which results depend, by name."""
    found = {'mmwsss': __version__, 'python': platform.python_version()}
    found.update({name: version(name) for name in ('torch', 'numpy')})
    for stack in installed_stacks().values():
        found.update(stack)
    return found
