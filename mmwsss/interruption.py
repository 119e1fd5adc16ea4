"""Ctrl-C while a tool of this project is still importing, which takes seconds."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType

ROOTS = (Path(__file__).parents[1] / 'tools', Path(__file__).parent / '.mim' / 'tools')


def end_tools_quietly() -> None:
    """Let Ctrl-C end a tool with one line; a program that is none of them is left as it is."""
    main = getattr(sys.modules.get('__main__'), '__file__', None)
    if main is not None and any(Path(main).resolve().is_relative_to(root) for root in ROOTS):
        sys.excepthook = _say


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print(f'{Path(sys.argv[0]).name}: interrupted.', file=sys.stderr, flush=True)
    os._exit(130)
