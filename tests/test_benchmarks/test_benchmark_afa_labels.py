"""benchmark_afa_labels.py: the yardsticks give the same labels, and the table."""

import json

import benchmark_afa_labels as tool
import pytest
from measure import CHILD

SMALL = ['--size', '32', '48', '--batch-size', '3', '--repeats', '1', '--device', 'cpu']


@pytest.mark.parametrize('form', ['looped', 'plain'])
@pytest.mark.parametrize('route', ['cam', 'affinity'])
def test_yardsticks_give_the_same_labels(route, form):
    forms = tool.make_forms(tool.parse_args([*SMALL, '--iters', '2']), route)
    labels = forms['batched']()
    assert set(labels.unique().tolist()) >= {0, 255}
    assert (labels != forms[form]()).sum() <= 2


def test_table(monkeypatch, capsys):
    monkeypatch.setattr(tool, 'run_child', lambda script, task: json.dumps(task) and 2**21)
    assert tool.main([*SMALL, '--iters', '2']) == 0
    output = capsys.readouterr().out
    assert '3 crops of 32 x 48, 2 iterations, cpu' in output
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in output.splitlines()]
    rows = [row for row in rows if row and row[0] in ('cam', 'affinity')]
    assert [row[:2] for row in rows] == [
        [route, form] for route in ('cam', 'affinity') for form in ('batched', 'looped', 'plain')
    ]
    assert all(float(row[2]) > 0 and row[4] == '2.0' and float(row[5]) < 0.1 for row in rows)


@pytest.mark.parametrize('form', ['batched', 'plain'])
def test_memory_of_a_form(capsys, form):
    task = dict(vars(tool.parse_args(SMALL)), form=form, route='affinity')
    assert tool.main([CHILD, json.dumps(task)]) == 0
    assert 0 <= int(capsys.readouterr().out) < 2**28


@pytest.mark.parametrize('option', ['--size', '--batch-size', '--iters', '--threads'])
def test_wrong_options(option, capsys):
    with pytest.raises(SystemExit, match='2'):
        tool.parse_args([option, '0', *(['4'] if option == '--size' else [])])
    assert 'must be at least 1' in capsys.readouterr().err
