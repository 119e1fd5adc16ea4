"""benchmark_par.py and benchmark_random_walk.py: the yardsticks, and the tables."""

import json

import pytest
import torch
from measure import CHILD

from mmwsss.models import PAR
from mmwsss.ops import random_walk
from tests.loading import load_file

SMALL = ['--size', '9', '7', '--repeats', '1', '--device', 'cpu']


@pytest.fixture(scope='module')
def par_tool():
    return load_file('benchmarks/benchmark_par.py')


@pytest.fixture(scope='module')
def walk_tool():
    return load_file('benchmarks/benchmark_random_walk.py')


def answer(script, task):
    """Stand for the process that measures memory."""
    json.dumps(task)
    return 2**20 * (1 if task['form'] in ('slices', 'pairs') else 5)


def cells(table, first):
    """Return the cells of the row that begins with a word."""
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in table.splitlines()]
    (row,) = [row for row in rows if row[0] == first]
    return row


@pytest.mark.parametrize('size', [(9, 7), (1, 5)])
def test_unfolded_neighbours_give_the_same_maps(par_tool, size):
    images, cams = torch.rand(2, 3, *size), torch.rand(2, 2, *size)
    expected = PAR(3, (1, 4))(images, cams)
    torch.testing.assert_close(par_tool.unfolded(images, cams, (1, 4), 3), expected)


@pytest.mark.parametrize('size', [(6, 7), (2, 3), (1, 1)])
def test_the_dense_matrix_gives_the_same_maps(walk_tool, size):
    maps, affinity = torch.rand(1, 2, *size), torch.rand(1, 34, *size)
    settings = dict(radius=5, beta=2, num_steps=8)
    expected = random_walk(maps, affinity, **settings)
    dense = walk_tool.dense_walk(maps, affinity, **settings)
    torch.testing.assert_close(dense, expected, rtol=0, atol=1e-6)


def test_table_of_par(par_tool, monkeypatch, capsys):
    monkeypatch.setattr(par_tool, 'run_child', answer)
    assert par_tool.main([*SMALL, '--maps', '2', '3', '--iters', '2']) == 0
    output = capsys.readouterr().out
    assert '9 x 7, 2 iterations, cpu' in output
    for maps in '23':
        _, fast, slow, _, small, large, smaller, difference = cells(output, maps)
        assert min(float(fast), float(slow)) > 0
        assert (small, large, smaller) == ('1.0', '5.0', '5.0')
        assert float(difference) < 1e-5


@pytest.mark.parametrize('dense', [True, False])
def test_table_of_the_walk(walk_tool, monkeypatch, capsys, dense):
    monkeypatch.setattr(walk_tool, 'run_child', answer)
    assert walk_tool.main([*SMALL, '--steps', '16', *([] if dense else ['--no-dense'])]) == 0
    output = capsys.readouterr().out
    assert '63 cells, 3 maps, 16 steps, cpu' in output
    _, seconds, peak, error = cells(output, 'pairs')
    assert float(seconds) > 0
    assert peak == '1.0'
    assert dense == ('times faster' in output) == ('dense' in output)
    if dense:
        assert max(float(error), float(cells(output, 'dense')[3])) < 1e-5
    else:
        assert error == '-'


@pytest.mark.parametrize('form', ['slices', 'unfold', 'pairs', 'dense'])
def test_memory_of_a_form(par_tool, walk_tool, capsys, form):
    tool = walk_tool if form in ('pairs', 'dense') else par_tool
    args = tool.parse_args(SMALL)
    assert tool.main([CHILD, json.dumps(dict(vars(args), form=form, num_maps=2))]) == 0
    assert 0 <= int(capsys.readouterr().out) < 2**28


@pytest.mark.parametrize('option', ['--size', '--maps', '--repeats', '--threads'])
def test_wrong_options(par_tool, walk_tool, option, capsys):
    for tool in (par_tool, walk_tool):
        with pytest.raises(SystemExit, match='2'):
            tool.parse_args([option, '0', *(['4'] if option == '--size' else [])])
        assert 'must be at least 1' in capsys.readouterr().err
