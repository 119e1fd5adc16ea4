"""benchmark_views.py: both ways of merging views give the same scores, and the table."""

import pytest
import torch

from tests.loading import load_file

SMALL = ['--size', '24', '40', '--repeats', '1', '--tags', '2', '--classes', '3', '5']


@pytest.fixture(scope='module')
def tool():
    return load_file('benchmarks/benchmark_views.py')


@torch.no_grad()
def test_both_forms_give_the_same_scores(tool):
    forms = tool.make_forms(tool.parse_args(SMALL), 5)
    one_by_one, all_at_once = (form() for form in forms.values())
    assert one_by_one.shape == (6, 24, 40)
    torch.testing.assert_close(one_by_one, all_at_once)
    # the classes without tag are out
    assert (one_by_one[3:] == -1).all() and (one_by_one[1:3] > -1).any()


def test_table(tool, monkeypatch, capsys):
    peaks = dict(zip(tool.FORMS, (2**20, 7 * 2**20), strict=True))
    monkeypatch.setattr(tool, 'run_child', lambda script, task: peaks[task['form']])
    assert tool.main(SMALL) == 0
    output = capsys.readouterr().out
    assert '24 x 40, 2 tags, 8 views' in output
    rows = [line.split('|') for line in output.splitlines() if line.startswith('|')][1:]
    assert [row[1].strip() for row in rows] == ['3', '5']
    assert all(row[5].strip() == '1' and row[6].strip() == '7' for row in rows)


def test_more_tags_than_classes_are_refused(tool, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(['--tags', '9', '--classes', '5'])
    assert '--tags must not be above --classes' in capsys.readouterr().err
