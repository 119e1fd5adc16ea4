"""What the tools share that can go on after a broken entry: the option, the list, the status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def add_skip_option(parser: argparse._ActionsContainer, what: str) -> None:
    """Add ``--skip-broken``.

    Args:
        parser: Parser of the tool, or a group of it.
        what: Of what there are several.
    """
    parser.add_argument(
        '--skip-broken',
        action='store_true',
        help=f'go on without {what} that cannot be used; they are listed in the end, and the '
        'status is 1',
    )


def end_with(problems: Sequence[str], what: str) -> None:
    """List what was left out, and end with status 1 if there was anything.

    Args:
        problems: A sentence for each.
        what: Of what there are several.

    Raises:
        SystemExit: something was left out.
    """
    if not problems:
        return
    print(f'{len(problems)} {what} left out:')
    for problem in problems:
        print(f'  {problem}')
    sys.stdout.flush()
    sys.exit(1)
