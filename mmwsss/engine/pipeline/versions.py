"""Versions of what a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import version

from mmwsss import __version__
from mmwsss.compat import installed_stacks


def versions() -> dict[str, str]:
    """Return the versions by name."""
    found = {'mmwsss': __version__, 'python': platform.python_version()}
    found.update({name: version(name) for name in ('torch', 'numpy')})
    for stack in installed_stacks().values():
        found.update(stack)
    return found
