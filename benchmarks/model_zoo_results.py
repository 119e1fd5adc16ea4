"""What is known of the configs beside what stands in them, as docs/results.yml holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mmwsss.errors import UsageError

RESULTS = 'docs/results.yml'
FIELDS = dict(  # of an entry of each kind: needed, and possible besides
    collections=({'training_data', 'architecture', 'page'}, {'paper', 'code'}),
    models=({'collection', 'training_data', 'architecture'}, {'paper', 'ours'}),
    pipelines=(set(), {'paper', 'ours'}),
    paper=({'metric', 'value', 'what'}, set()),
    ours=({'metric', 'values', 'what', 'command'}, {'minutes', 'machine'}),
)


def check_fields(kind: str, name: str, entry: Any) -> None:
    """Make sure that an entry of the results has the fields of its kind.

    Args:
        kind: Key of ``FIELDS``.
        name: Of the entry, for the message.
        entry: What was read.

    Raises:
        UsageError: it lacks one, or has one that means nothing.
    """
    needed, possible = FIELDS[kind]
    found = set(entry) if isinstance(entry, dict) else set()
    if missing := sorted(needed - found):
        raise UsageError(f'{RESULTS}: {name} lacks {", ".join(missing)}.')
    if unknown := sorted(found - needed - possible):
        known = ', '.join(sorted(needed | possible))
        raise UsageError(f'{RESULTS}: {name} has {", ".join(unknown)}; it can have {known}.')


def check_ours(name: str, ours: dict) -> None:
    """Make sure that figures of ours can be measured again.

    Args:
        name: Of the config.
        ours: Of the entry.

    Raises:
        UsageError: there is no value or command, or a time of an unknown machine.
    """
    if not ours['values']:
        raise UsageError(f'{RESULTS}: ours of {name} has no values.')
    if not str(ours['command'] or '').strip():
        raise UsageError(f'{RESULTS}: ours of {name} has an empty command.')
    if 'minutes' in ours and 'machine' not in ours:
        raise UsageError(f'{RESULTS}: ours of {name} has minutes without machine.')


def check_entry(kind: str, name: str, entry: Any) -> None:
    """Make sure that an entry of the results is complete, with the figures in it.

    Args:
        kind: ``collections``, ``models`` or ``pipelines``.
        name: Of the entry.
        entry: What was read.

    Raises:
        UsageError: something is missing or means nothing.
    """
    check_fields(kind, name, entry)
    if kind == 'collections':
        return
    for part in {'paper', 'ours'} & set(entry):
        check_fields(part, f'{part} of {name}', entry[part])
    if 'ours' in entry:
        check_ours(name, entry['ours'])


def read_results(root: Path) -> dict[str, dict[str, dict]]:
    """Read what is known of the configs, and check it against them.

    Args:
        root: Folder of the checkout.

    Raises:
        UsageError: an entry is wrong, a config has none, or one has no config.
    """
    results = yaml.safe_load((root / RESULTS).read_text(encoding='utf-8'))
    for kind in ('collections', 'models', 'pipelines'):
        for name, entry in results[kind].items():
            check_entry(kind, name, entry)
    for name, entry in results['models'].items():
        if entry['collection'] not in results['collections']:
            raise UsageError(f'{RESULTS}: {name} is of the unknown {entry["collection"]}.')
    listed = {*results['models'], *results['pipelines']}
    paths = [path.relative_to(root / 'configs') for path in root.glob('configs/*/*.py')]
    found = {path.with_suffix('').as_posix() for path in paths if path.parts[0] != '_base_'}
    if missing := sorted(found - listed):
        raise UsageError(f'{RESULTS} has no entry for {", ".join(missing)}: add one.')
    if gone := sorted(listed - found):
        raise UsageError(f'{RESULTS}: there is no config {", ".join(gone)}; remove the entry.')
    return results
