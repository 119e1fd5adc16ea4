"""benchmark_toco.py: the plain step gives the same losses, and the table."""

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


@pytest.mark.parametrize(('plain', 'code'), [(0.5, 0), (0.6, 1)])
def test_table(monkeypatch, capsys, plain, code):
    forms = {name: lambda _, x=x: {'loss': torch.tensor(x)} for name, x in
             zip(tool.FORMS, (0.5, plain), strict=True)}  # fmt: skip
    monkeypatch.setattr(tool, 'make_forms', lambda args: forms)
    monkeypatch.setattr(
        tool, 'run_child', lambda _, task: dict(ours=2**21, plain=2**22)[task['form']]
    )
    assert tool.main(SMALL) == code
    output = capsys.readouterr().out
    assert '2 crops of 112 x 112, tiny, cpu' in output
    assert f'loss: ours 0.50000, plain {plain:.5f}' in output
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in output.splitlines()]
    rows = [row for row in rows if row and row[0] in tool.FORMS]
    assert [(row[0], *row[3:]) for row in rows] == [('ours', '2', '0.50'), ('plain', '4', '1.00')]


def test_memory_of_a_form(capsys):
    task = dict(vars(tool.parse_args(SMALL)), form='ours')
    assert tool.main([CHILD, json.dumps(task)]) == 0
    assert 0 <= int(capsys.readouterr().out) < 2**29


def test_wrong_options(capsys):
    for words in (['--size', '0'], ['--size', '120'], ['--batch-size', '0'], ['--repeats', '0']):
        with pytest.raises(SystemExit, match='2'):
            tool.parse_args(words)
        assert 'at least' in capsys.readouterr().err
