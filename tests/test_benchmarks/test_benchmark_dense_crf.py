"""benchmark_dense_crf.py: a row for each number of labels, with and without the package."""

import importlib.util

import cv2
import numpy as np
import pytest

from mmwsss.errors import UsageError
from tests.loading import load_file

FAST = ['--size', '20', '30', '--repeats', '1', '--iters', '2', '--device', 'cpu']


@pytest.fixture(scope='module')
def tool():
    return load_file('benchmarks/benchmark_dense_crf.py')


def rows(text):
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in text.splitlines()
        if line.startswith('|')
    ]


def test_measures_a_photograph(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    photo = tmp_path / 'photo.png'
    cv2.imwrite(str(photo), np.full((40, 40, 3), (200, 0, 0), np.uint8))
    assert tool.load_image(str(photo), (20, 30))[0, :, 3, 4].tolist() == [0, 0, 200]
    assert tool.main([str(photo), *FAST]) == 0
    text = capsys.readouterr().out
    header, *table = rows(text)
    assert [row[0] for row in table] == ['3', '21']
    assert all(float(row[1]) > 0 for row in table)
    assert text.startswith(f'{photo}, 20 x 30, 2 iterations, torch on cpu, 1 CPU threads')
    assert 'pip install pydensecrf2' in text


@pytest.mark.pydensecrf
def test_compares_with_the_package_on_a_drawn_image(tool, capsys):
    tool.main(['--labels', '4', *FAST])
    _, row = rows(capsys.readouterr().out)
    assert float(row[5]) < 1e-3
    assert row[6] == '100.0000%'


def test_refuses_no_labels(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['--labels', '0'])
    assert 'must be at least 1' in capsys.readouterr().err


def test_refuses_a_file_that_is_no_image(tool, tmp_path):
    with pytest.raises(UsageError, match='missing.jpg cannot be read'):
        tool.main([str(tmp_path / 'missing.jpg'), *FAST])
