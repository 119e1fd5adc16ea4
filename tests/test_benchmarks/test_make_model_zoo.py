"""make_model_zoo.py: both files are up to date, what they say, results that are refused."""

import re

import pytest
import yaml
from model_zoo import INDEX, PAGE
from model_zoo_results import RESULTS, read_results

from mmwsss.errors import UsageError
from tests.loading import load_file

TOOL = 'benchmarks/make_model_zoo.py'
RESULT = """
collections:
  CAM:
    training_data: [Emblems]
    architecture: [ResNet38d]
    paper: {title: 'Learning: Features', url: https://arxiv.org/abs/1512.04150}
    code: mmwsss/models/heads/cam_head.py
    page: cam.md
models:
  cam/toy:
    collection: CAM
    training_data: Emblems
    architecture: [ResNet38d]
    paper: {metric: mIoU, value: 47.4, what: maps}
    ours:
      metric: mIoU
      values: [50.0, 51.5]
      what: maps of val
      command: make toys
      minutes: [3.5, 2]
      machine: a CPU
  cam/plain: {collection: CAM, training_data: Emblems, architecture: [ResNet38d]}
pipelines:
  pipelines/toy: {}
"""
COUNTED = {'Parameters': 1_234_567, 'FLOPs': 8_900_000_000, 'Image Size': '8 x 9'}


@pytest.fixture
def root(tmp_path):
    """Return a checkout of three empty configs and their results."""
    for name in ('_base_/base', 'cam/toy', 'cam/plain', 'pipelines/toy'):
        (tmp_path / f'configs/{name}.py').parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f'configs/{name}.py').touch()
    (tmp_path / 'docs').mkdir()
    (tmp_path / RESULTS).write_text(RESULT)
    return tmp_path


@pytest.fixture
def run(root, monkeypatch):
    """Return a function that runs the tool there; networks are not counted."""
    tool = load_file(TOOL)
    monkeypatch.setattr(tool, 'ROOT', root)

    def run(*words, measure=lambda path: dict(COUNTED)):
        monkeypatch.setattr(tool, 'measure', measure)
        tool.main(tool.make_parser().parse_args(words))

    return run


def change(root, old, new):
    text = (root / RESULTS).read_text()
    assert old in text
    (root / RESULTS).write_text(text.replace(old, new))


def test_files_of_the_checkout_are_up_to_date():
    """Counts all networks again."""
    tool = load_file(TOOL)
    tool.main(tool.make_parser().parse_args(['--check']))


def test_no_figure_of_ours_lacks_its_command(repo):
    results = read_results(repo)
    entries = {**results['models'], **results['pipelines']}
    ours = {name: entry['ours'] for name, entry in entries.items() if 'ours' in entry}
    assert len(ours) >= 5
    page = (repo / PAGE).read_text()
    for name, entry in ours.items():
        assert re.search(r'python (tools|benchmarks)/(\w+/)?\w+\.py', entry['command']), name
        assert entry['command'].strip() in page, name


def test_index_says_what_is_known(run, root):
    run()
    index = yaml.safe_load((root / INDEX).read_text())
    (collection,), (toy, plain) = index['Collections'], index['Models']
    assert collection == {
        'Name': 'CAM',
        'License': 'Apache License 2.0',
        'Metadata': {'Training Data': ['Emblems'], 'Architecture': ['ResNet38d']},
        'Paper': {'Title': 'Learning: Features', 'URL': 'https://arxiv.org/abs/1512.04150'},
        'Code': {'URL': 'mmwsss/models/heads/cam_head.py'},
        'Frameworks': ['PyTorch'],
    }
    assert toy == {
        'Name': 'toy',
        'In Collection': 'CAM',
        'Config': 'configs/cam/toy.py',
        'Metadata': {
            'Training Data': 'Emblems',
            'Architecture': ['ResNet38d'],
            **COUNTED,
            'Paper mIoU': 47.4,
            'Paper Figure': 'maps',
            'Measured': 'see docs/model_zoo.md',
        },
        'Results': [
            {'Task': 'Semantic Segmentation', 'Dataset': 'Emblems', 'Metrics': {'mIoU': 50.75}}
        ],
    }
    assert plain['Metadata']['Measured'] == 'not run'
    assert 'Results' not in plain


def test_page_shows_what_is_known(run, root):
    run()
    page = (root / PAGE).read_text()
    lines = page.splitlines()
    sizes = 'Emblems | 1.23 M | 8.90 G | 8 x 9'
    ours = '50.75 mIoU (50.00, 51.50): maps of val | 2 - 3.5 min'
    assert f'| `cam/toy` | {sizes} | 47.4 mIoU: maps | {ours} |' in lines
    assert f'| `cam/plain` | {sizes} | - | not run | - |' in lines
    assert '| `pipelines/toy` | - | not run | - |' in lines
    assert '\n`cam/toy`:\n\n```bash\nmake toys\n```\n' in page
    assert 'Times of a training are of a CPU.' in lines


def test_one_training_is_told(run, root):
    change(root, '[50.0, 51.5]', '[50.0]')
    run()
    assert '| 50.00 mIoU (one training): maps of val |' in (root / PAGE).read_text()


def test_what_is_up_to_date_passes_and_stays(run, root, capsys):
    run()
    before = [(root / name).stat().st_mtime_ns for name in (INDEX, PAGE)]
    run('--check')
    run()
    assert [(root / name).stat().st_mtime_ns for name in (INDEX, PAGE)] == before
    assert capsys.readouterr().out.count('is up to date.') == 4


@pytest.mark.parametrize('name', [INDEX, PAGE])
def test_what_is_out_of_date_fails_and_stays(run, root, name):
    run()
    (root / name).write_text((root / name).read_text() + 'more')
    with pytest.raises(UsageError, match=f'{name} is out of date: run benchmarks'):
        run('--check')
    assert (root / name).read_text().endswith('more')


def test_another_network_is_out_of_date(run):
    run()
    with pytest.raises(UsageError, match='model-index.yml is out of date'):
        run('--check', measure=lambda path: {**COUNTED, 'Parameters': 7})


def test_numbers_stay_where_a_package_is_missing(run, root, capsys):
    run()
    before = (root / INDEX).read_text()
    run(measure=lambda path: None)
    assert (root / INDEX).read_text() == before
    assert 'configs/cam/toy.py needs a package that is missing' in capsys.readouterr().out


def test_numbers_are_left_out_where_nobody_knows_them(run, root):
    run(measure=lambda path: None)
    assert 'Parameters' not in (root / INDEX).read_text()
    assert '| `cam/plain` | Emblems | - | - | - | - | not run | - |' in (root / PAGE).read_text()


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('      command: make toys\n', '', 'ours of cam/toy lacks command.'),
        ('values: [50.0, 51.5]', 'values: []', 'ours of cam/toy has no values.'),
        ('command: make toys', "command: ' '", 'ours of cam/toy has an empty command.'),
        ('      machine: a CPU\n', '', 'ours of cam/toy has minutes without machine.'),
        ('value: 47.4, ', '', 'paper of cam/toy lacks value.'),
        ('    page: cam.md', '    pages: cam.md', 'CAM lacks page.'),
        ('      minutes:', '      hours:', r'ours of cam/toy has hours; it can have command, '),
        ('    collection: CAM\n', '    collection: SEAM\n', 'cam/toy is of the unknown SEAM'),
        ('  cam/plain: {', '  cam/other: {', 'has no entry for cam/plain: add one.'),
        ('pipelines/toy: {}', 'pipelines/toy: {}\n  a/b: {}', 'no config a/b; remove the entry.'),
    ],
)
def test_wrong_results_are_refused(root, old, new, message):
    change(root, old, new)
    with pytest.raises(UsageError, match=message):
        read_results(root)
