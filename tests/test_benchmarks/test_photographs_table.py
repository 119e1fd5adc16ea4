"""photographs_table.py: which commands measure what, and the table of all seeds."""

import json
from pathlib import Path

import pytest

from mmwsss.errors import UsageError
from tests.loading import load_file

TOOL = Path(__file__).parents[2] / 'benchmarks/photographs_table.py'


@pytest.fixture
def tool():
    return load_file(TOOL)


def test_seeds_are_averaged_and_nothing_of_val_is_trained_on(tool, tmp_path, monkeypatch, capsys):
    calls = []

    def call(name, *words):
        calls.append((name, [str(word) for word in words]))
        if name == 'run_pipeline.py':
            work = Path(words[words.index('--work-dir') + 1])
            (work / 'cam').mkdir(parents=True)
            (work / 'cam/iter_100.pth').touch()
            (work / 'unseen').mkdir()
            seed = words[words.index('--seed') + 1]
            stages = dict(maps=dict(figures=dict(train=dict(mIoU=50 + seed))), cam={})
            (work / 'results.json').write_text(json.dumps(dict(stages=stages)))
        elif name.startswith('eval'):
            words[words.index('--out') + 1].write_text(json.dumps(dict(mIoU=40)))

    monkeypatch.setattr(tool, 'call', call)
    monkeypatch.chdir(tmp_path)
    for folder in ('train', 'val'):
        for part in ('images', 'masks'):
            (tmp_path / folder / part).mkdir(parents=True)
        (tmp_path / folder / 'labels.csv').touch()
    words = ['train', 'val', '--classes', 'cat', 'dog', '--seeds', '1', '3']
    tool.photographs_table(tool.make_parser().parse_args([*words, '--work-dir', str(tmp_path)]))
    shown = capsys.readouterr().out
    assert 'train maps                52.0   (51.0 53.0)' in shown
    assert 'val true masks            40.0   (40.0 40.0)' in shown
    trainings = [words for name, words in calls if name in ('run_pipeline.py', 'train.py')]
    assert len(trainings) == 4
    assert not any(word.startswith('val') for words in trainings for word in words)


def test_a_folder_that_lacks_a_part_is_named_before_any_work(tool, tmp_path):
    (tmp_path / 'images').mkdir()
    with pytest.raises(UsageError, match='There is no masks in'):
        tool.check_folder(str(tmp_path))


def test_a_tool_that_fails_ends_the_table(tool):
    with pytest.raises(UsageError, match=r'eval_masks\.py failed: .*absent'):
        tool.call('eval_masks.py', 'absent', 'absent')
