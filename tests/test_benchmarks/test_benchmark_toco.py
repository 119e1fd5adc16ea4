"""benchmark_toco.py: the plain step gives the same losses, and its memory."""

import json

import benchmark_toco as tool
import pytest
import torch
from measure import CHILD

pytestmark = pytest.mark.stack
SMALL = ['--size', '112', '--width', 'tiny', '--repeats', '1', '--device', 'cpu']


def test_plain_step_gives_the_same_losses():
    args = tool.parse_args(SMALL)
    batch = tool.whole_batch(args, 112)
    ours, plain = (step(batch) for step in tool.make_forms(args).values())
    assert set(ours) == set(plain)
    assert all(ours.values())
    for name, loss in plain.items():
        torch.testing.assert_close(ours[name], loss, rtol=1e-3, atol=1e-5)


def test_memory_of_a_form(capsys):
    task = dict(vars(tool.parse_args(SMALL)), form='ours')
    assert tool.main([CHILD, json.dumps(task)]) == 0
    assert 0 <= int(capsys.readouterr().out) < 2**29


def test_wrong_options(capsys):
    for words in (['--size', '0'], ['--size', '120'], ['--batch-size', '0'], ['--repeats', '0']):
        with pytest.raises(SystemExit, match='2'):
            tool.parse_args(words)
        assert 'at least' in capsys.readouterr().err
