"""Seconds, memory and the process that measures memory."""

import measure
import pytest
import torch
from measure import best_seconds, extra_memory, run_child

MEGABYTE = 2**20


def test_functions_take_turns_and_the_best_turn_counts(monkeypatch):
    clock, calls = [0.0], []
    monkeypatch.setattr('measure.time.perf_counter', lambda: clock[0])

    def work(name, durations):
        def function():
            calls.append(name)
            clock[0] += durations[calls.count(name) - 1]

        return function

    functions = [work('a', [3.0, 1.0, 2.0]), work('b', [5.0, 6.0, 4.0])]
    assert best_seconds(functions, repeats=3, device='cpu') == [1, 4]
    assert ''.join(calls) == 'ababab'


def test_memory_is_what_the_call_needs_above_what_was_held(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(
        'import json, runpy, sys, torch\n'
        f'extra_memory = runpy.run_path({measure.__file__!r})["extra_memory"]\n'
        'size = json.loads(sys.argv[2])["size"]\n'
        'held = torch.ones(8, size)\n'
        'print("a line before")\n'
        'print(extra_memory(lambda: torch.ones(4, size), "cpu"))\n'
    )
    held_here = torch.ones(64, MEGABYTE)  # the parent's memory does not count
    extra = run_child(str(script), dict(size=MEGABYTE))
    assert 15 * MEGABYTE < extra < 24 * MEGABYTE
    assert held_here.numel() == 64 * MEGABYTE


def test_memory_of_nothing_is_nothing():
    assert extra_memory(lambda: None, 'cpu') < MEGABYTE


def test_a_child_that_fails_is_reported(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text('raise ValueError("no such thing")')
    with pytest.raises(RuntimeError, match=r'script\.py.*failed: ValueError: no such thing'):
        run_child(str(script), {})
