"""steps.py: the table of both forms of a step."""

import argparse

import pytest
import steps
import torch
from torch import nn


def forms_of(model):
    """Return a step of a model, and one whose loss is twice as large."""
    return steps.paired_steps(
        model, lambda model, inputs: {'loss': 2 * model(inputs, mode='loss')['loss']}
    )


class Square(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.0))

    def forward(self, inputs, mode):
        return {'loss': self.weight**2 * inputs}


def test_each_step_starts_from_no_gradients():
    model = Square()
    ours, plain = forms_of(model).values()
    assert ours(dict(inputs=1.0)) == {'loss': 9}
    assert model.weight.grad == 6
    assert plain(dict(inputs=1.0)) == {'loss': 18}
    assert model.weight.grad == 12


@pytest.mark.parametrize(('plain', 'code'), [(0.5, 0), (0.6, 1)])
def test_table(monkeypatch, capsys, plain, code):
    tasks = {}

    def run_child(script, task):
        tasks[task['form']] = script
        return dict(ours=2**21, plain=2**22)[task['form']]

    monkeypatch.setattr(steps, 'run_child', run_child)
    values = zip(steps.FORMS, (0.5, plain), strict=True)
    forms = {name: lambda _, x=x: {'loss': torch.tensor(x)} for name, x in values}
    found = steps.compare_steps(
        'tool.py',
        ['--size'],
        parse_args=lambda argv: argparse.Namespace(size=64, repeats=1, device='cpu'),
        make_forms=lambda args: forms,
        make_batch=lambda args, size: dict(inputs=size),
        tiny=8,
        title=lambda args: f'crops of {args.size}',
    )
    assert found == code
    assert tasks == dict(ours='tool.py', plain='tool.py')
    output = capsys.readouterr().out
    assert 'crops of 64\n' in output
    assert f'loss: ours 0.50000, plain {plain:.5f}' in output
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in output.splitlines()]
    rows = [row for row in rows if row and row[0] in steps.FORMS]
    assert [(row[0], *row[3:]) for row in rows] == [('ours', '2', '0.50'), ('plain', '4', '1.00')]
