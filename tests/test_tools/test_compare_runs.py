"""compare_runs.py: figures, times, losses and settings of trainings and pipelines side by side."""

import csv
import json

import pytest
from PIL import Image

from mmwsss.pipeline.run_folders import read_run
from tests.loading import load_file, run_main

TOOL = 'tools/analysis_tools/compare_runs.py'
CONFIG = """
crop = ({width}, 9)
data_preprocessor = dict(type='P', size=crop)
heads = [dict(type='G'), dict(type='H', width={width})]
model = dict(type='M', data_preprocessor=data_preprocessor, heads=heads)
optim_wrapper = dict(optimizer=dict(lr={lr}))
work_dir = {work_dir!r}
"""
SCORES = dict(mIoU=50.0, m_FP=0.5, m_FN=0.25, pairs=20, undecided=0.0, classes=dict(dog=1))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def scalars(steps, loss, seconds):
    lines = [dict(loss=loss / step, loss_cls=1.0, time=seconds, step=step) for step in steps]
    return ''.join(f'{json.dumps(line)}\n' for line in lines)


def make_training(folder, *, lr=0.1, width=4, loss=8.0, figures=None):
    """Write what a training of 40 iterations leaves, stopped once after the 25th."""
    config = CONFIG.format(lr=lr, width=width, work_dir=str(folder))
    for name, steps in (('1_1', (10, 20)), ('1_2', (20, 30, 40))):
        write(folder / name / 'vis_data/config.py', config)
        write(folder / name / 'vis_data/scalars.json', scalars(steps, loss, 2.0))
    for name, scores in (figures or {}).items():
        write(folder / name / f'{folder.name}.json', '{}')
        write(folder / name / f'{name.split("/")[-1]}.json', json.dumps(scores))
    return folder


def make_pipeline(folder, *, seed=0, test=80.0):
    """Write what a pipeline of two stages leaves."""
    stages = dict(
        zoo=dict(figures={}, seconds=90.0, finished='2026-01-01', settings=dict(seed=seed)),
        test=dict(
            figures=dict(val={**SCORES, 'mIoU': test}),
            seconds=5.0,
            finished='2026-01-02',
            settings=dict(config=dict(model=dict(width=4)), entry=dict(tta=True)),
        ),
    )
    for name, record in stages.items():
        write(folder / name / 'manifest.json', json.dumps(dict(record, format=1)))
    write(folder / 'zoo/1_1/vis_data/scalars.json', scalars((10, 20), 4.0, 1.0))
    write(folder / 'zoo/1_1/vis_data/config.py', 'model = dict()')
    return folder


def tables(*words, capsys):
    """Run the tool and return its tables as rows by their title."""
    run_main(TOOL, *words, '--format', 'csv')
    found = {}
    for title, *row in csv.reader(capsys.readouterr().out.splitlines()):
        found.setdefault(title, []).append(row)
    return found


@pytest.fixture
def trainings(tmp_path):
    scores = {'t_1': {'mIoU': 40.0, 'cam/mIoU': 45.125, 'tags/F1': 99.0, 'mAcc': 70.0, 'x': None}}
    return [
        make_training(tmp_path / 'a', figures={**scores, 'final/t_2': {'mIoU': 41.0}}),
        make_training(tmp_path / 'b', lr=0.2, figures={'t_3': {'mIoU': 60.0}}),
    ]


@pytest.fixture
def pipelines(tmp_path):
    folders = [tmp_path / 'p0', tmp_path / 'p1']
    return [make_pipeline(f, seed=i, test=80.0 + i) for i, f in enumerate(folders)]


def test_figures_of_trainings(trainings, capsys):
    assert tables(*trainings, capsys=capsys)['Figures'] == [
        ['measured on', 'metric', 'a', 'b'],
        ['test', 'mIoU', '40.00', '60.00'],
        ['test', 'cam/mIoU', '45.12', '-'],
        ['test', 'tags/F1', '99.00', '-'],
        ['final', 'mIoU', '41.00', '-'],
    ]


def test_last_test_of_a_folder_counts(trainings):
    write(trainings[0] / 't_9/t_9.json', json.dumps({'mIoU': 7.0}))
    assert read_run(trainings[0]).figures['test'] == {'mIoU': 7.0}


def test_chosen_metrics_and_mean(trainings, capsys):
    words = [*trainings, '--metrics', 'mAcc', 'mIoU', '--mean']
    rows = tables(*words, capsys=capsys)['Figures']
    assert rows[0][-1] == 'mean'
    assert rows[1] == ['test', 'mIoU', '40.00', '60.00', '50.00']
    assert ['test', 'mAcc', '70.00', '-', '-'] in rows


def test_time_of_a_resumed_training_counts_once(trainings, capsys):
    assert tables(*trainings, capsys=capsys)['Time'][1] == ['training', '1:20', '1:20']


def test_settings_that_differ(trainings, tmp_path, capsys):
    other = make_training(tmp_path / 'c', lr=0.2, width=5)
    found = tables(*trainings, other, capsys=capsys)['Settings of the trainings']
    assert found == [
        ['setting', 'a', 'b', 'c'],
        ['model.data_preprocessor.size', '[4, 9]', '[4, 9]', '[5, 9]'],
        ['model.heads.1.width', '4', '4', '5'],
        ['optim_wrapper.optimizer.lr', '0.1', '0.2', '0.2'],
    ]


def test_tables_of_pipelines(pipelines, capsys):
    found = tables(*pipelines, '--mean', capsys=capsys)
    assert found['Figures'][1:] == [
        ['test val', 'mIoU', '80.00', '81.00', '80.50'],
        ['test val', 'm_FP', '0.50', '0.50', '0.50'],
        ['test val', 'm_FN', '0.25', '0.25', '0.25'],
    ]
    assert found['Time'][1:] == [
        ['zoo', '1:30', '1:30'],
        ['test', '0:05', '0:05'],
        ['sum', '1:35', '1:35'],
    ]
    assert found['Settings of the pipelines'][1:] == [['zoo.seed', '0', '1']]


def test_settings_of_trainings_and_pipelines_stand_apart(trainings, pipelines, capsys):
    found = tables(*trainings, *pipelines, capsys=capsys)
    assert found['Settings of the trainings'][0] == ['setting', 'a', 'b']
    assert found['Settings of the pipelines'][0] == ['setting', 'p0', 'p1']


def test_stage_of_a_pipeline_is_a_training(trainings, pipelines, capsys):
    found = tables(trainings[0], pipelines[0] / 'zoo', capsys=capsys)
    assert found['Time'] == [['part', 'a', 'zoo'], ['training', '1:20', '0:20']]


def test_markdown_and_text_shorten_long_values(trainings, capsys):
    for name, width in zip('ab', ("'" + 60 * 'x' + "'", "'y|z'"), strict=True):
        make_training(trainings[0].with_name(name), width=width)
    run_main(TOOL, *trainings, '--format', 'markdown')
    row = f'| model.heads.1.width | {45 * "x"}... | y\\|z |'
    assert row in capsys.readouterr().out.splitlines()
    run_main(TOOL, *trainings)
    assert f'{45 * "x"}... |' in capsys.readouterr().out


def test_tables_go_into_a_file(trainings, tmp_path, capsys):
    run_main(TOOL, *trainings, '--format', 'markdown', '--out', tmp_path / 'out.md')
    assert capsys.readouterr().out == ''
    assert (tmp_path / 'out.md').read_text().startswith('### Figures\n\n| measured on |')


def test_plot_shows_every_loss_and_figure(trainings, pipelines, tmp_path, monkeypatch, capsys):
    tool = load_file(TOOL)
    figures = []
    monkeypatch.setattr(tool, 'save_figure', lambda figure, path: figures.append(figure))
    words = [*trainings, *pipelines, '--plot', 'x.png', '--metrics', 'mIoU']
    tool.main(tool.make_parser().parse_args([str(word) for word in words]))
    (figure,) = figures
    panels = {axis.get_title(): axis for axis in figure.axes}
    assert list(panels) == ['training: loss', 'zoo: loss', 'mIoU', 'cam/mIoU']
    lines = panels['training: loss'].lines[:2]
    assert [line.get_xdata().tolist() for line in lines] == [[10, 20, 30, 40]] * 2
    assert [label.get_text() for label in panels['mIoU'].get_yticklabels()] == [
        'test',
        'final',
        'test val',
    ]
    assert [text.get_text() for text in figure.legends[0].texts] == ['a', 'b', 'p0', 'p1']
    run_main(TOOL, *words[:4], '--plot', tmp_path / 'plot.png')
    with Image.open(tmp_path / 'plot.png') as picture:
        assert picture.size[0] > 1000


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['nowhere'], 'There is no folder nowhere; check the path.'),
        (['empty'], 'empty is no run: it holds neither a training'),
        (['.'], 'of the folders in it name a, b.'),
        (['a', 'a'], 'A folder is named twice'),
        (['a', 'b', '--names', 'x', 'x'], '--names needs 2 different names, one a folder, got 2'),
        (['a', 'b', '--names', 'x'], '--names needs 2 different names'),
        (['a', '--out', 'a'], '--out a cannot be written'),
        (['a', '--plot', 'a'], '--plot a cannot be written'),
        (
            ['a', '--plot', 'x.png', '--losses', 'none', '--metrics', 'none'],
            '--plot x.png cannot be made: plot_runs: there are no losses or scores',
        ),
    ],
)
def test_wrong_calls_end_with_a_sentence(trainings, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(SystemExit, match='2'):
        run_main(TOOL, *words)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ('a/t_1/t_1.json', 't_1.json is damaged'),
        ('a/1_2/vis_data/config.py', 'config.py cannot be read: '),
        ('p0/test/manifest.json', 'manifest.json is damaged'),
    ],
)
def test_damaged_files_are_named(trainings, pipelines, tmp_path, capsys, path, message):
    write(tmp_path / path, '{"half": ')
    with pytest.raises(SystemExit, match='2'):
        run_main(TOOL, tmp_path / path.split('/')[0])
    assert message in capsys.readouterr().err


def test_names_may_be_given(trainings, capsys):
    found = tables(*trainings, '--names', 'one', 'two', capsys=capsys)
    assert found['Figures'][0][2:] == ['one', 'two']


def test_folders_of_one_name_are_told_apart(trainings, tmp_path, capsys):
    other = make_training(tmp_path / 'more/a')
    found = tables(trainings[0], other, capsys=capsys)
    assert found['Time'][0][1:] == [str(trainings[0]), str(other)]
