"""emblems_table.py: what it runs, and the table, by a runner that trains nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from budget import budget_options
from emblems_rows import BUDGET, COLUMNS, ROWS, SIZES, put_between
from mmengine.config import Config

from mmwsss.cli.launch import run_tool
from mmwsss.pipeline import read_pipeline
from tests.loading import ROOT, load_file

TOOL = 'benchmarks/emblems_table.py'
SEAM, SEAM_VOC = 'seam_r38-tiny_emblems', 'configs/pipelines/seam_r38_voc.py'
PAGE = 'Before.\n\n<!-- emblems table -->\nold\n<!-- end -->\n\nAfter.\n'
# notes when it ran and with how many others, and fails where it is told to
RUNNER = """
import os, pathlib, sys, time
root = pathlib.Path(__file__).parent
words = sys.argv[1:]
name = f"{pathlib.Path(words[0]).stem} {words[words.index('--seed') + 1]}"
busy = root / f'busy {name}'
busy.touch()
count = len(list(root.glob('busy *')))
with open(root / 'runs', 'a') as file:
    file.write(f"{name} {count} {os.environ['OMP_NUM_THREADS']}\\n")
time.sleep(float(os.environ.get('TOY_DELAY', 0)))
busy.unlink()
if name in os.environ.get('TOY_FAIL', '').split(','):
    sys.exit('run_pipeline.py: stage cam: no room.')
"""
DRAWER = """
import pathlib, sys
with open(pathlib.Path(__file__).parents[1] / 'runs', 'a') as file:
    print('draw', *sys.argv[1:], file=file)
"""


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """Return the tool in an empty folder, with programs that only note their calls."""
    (tmp_path / 'tools/dataset_converters').mkdir(parents=True)
    (tmp_path / 'tools/run_pipeline.py').write_text(RUNNER)
    (tmp_path / 'tools/dataset_converters/make_emblems.py').write_text(DRAWER)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    tool = load_file(TOOL)
    monkeypatch.setattr(tool, 'TOOLS', tmp_path / 'tools')
    return tool


def run(tool, *words):
    run_tool(tool.make_parser(), tool.main, [str(word) for word in words])


def runs():
    return Path('tools/runs').read_text().splitlines()


def finish(pipeline, stage, *, seed=0, seconds=60.0, work='work_dirs/emblems', **figures):
    """Write what a finished stage leaves, figures by split; a training saw 16 images 500 times."""
    path = Path(work, pipeline, f'seed{seed}', stage, 'manifest.json')
    path.parent.mkdir(parents=True, exist_ok=True)
    config = dict(train_cfg=dict(max_iters=500), train_dataloader=dict(batch_size=16))
    record = dict(format=1, seconds=seconds, figures=figures, settings=dict(config=config))
    path.write_text(json.dumps(record))


def figures(miou, m_fp=0.5, m_fn=0.25):
    return dict(mIoU=miou, m_FP=m_fp, m_FN=m_fn)


def table(capsys):
    """Return the rows of the table that was printed, by their names."""
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('|')]
    cells = [line.strip('| ').split(' | ') for line in lines]
    return {name: dict(zip(cells[0][1:], rest, strict=True)) for name, *rest in cells[2:]}


# what is run


def test_data_are_drawn_once_then_every_method_runs_with_every_seed(toys):
    run(toys, '--seeds', 0, 3)
    first, *rest = runs()
    assert first == 'draw data/emblems --size 128 --workers 1'
    names = SIZES['tiny'].pipelines.values()
    assert rest == [f'{name} {seed} 1 1' for seed in (0, 3) for name in names]


def test_several_run_at_a_time(toys, monkeypatch):
    monkeypatch.setenv('TOY_DELAY', '0.6')
    run(toys, '--methods', 'seam', 'afa', '--seeds', 0, 1, '--jobs', 2)
    at_once = [int(line.split()[-2]) for line in runs()[1:]]
    assert len(at_once) == 4 and max(at_once) == 2


def test_failed_pipeline_stops_no_other_and_is_named(toys, monkeypatch, capsys):
    monkeypatch.setenv('TOY_FAIL', f'{SEAM} 0')
    finish(SEAM, 'cam_maps', val=figures(50))
    with pytest.raises(SystemExit) as info:
        run(toys, '--methods', 'seam', 'apc', '--seeds', 0, 1)
    assert info.value.code == 2
    assert len(runs()) == 5
    said = capsys.readouterr()
    assert f'[1/4] {SEAM}, seed 0: failed: run_pipeline.py: stage cam: no room.' in said.out
    assert '[4/4] apc_vit-tiny_emblems, seed 1: finished after 0:0' in said.out
    assert '50.00, not run' in said.out
    assert (
        said.err
        == f'emblems_table.py: {SEAM}, seed 0 failed: run_pipeline.py: stage cam: no room.\n'
    )
    assert 'no room' in Path(f'work_dirs/emblems/{SEAM}/seed0.log').read_text()


def test_data_that_cannot_be_drawn_end_it(toys, capsys):
    (toys.TOOLS / toys.DRAW).write_text("import sys; sys.exit('make_emblems.py: no room.')")
    with pytest.raises(SystemExit):
        run(toys)
    assert (
        capsys.readouterr().err
        == 'emblems_table.py: Emblems cannot be drawn: make_emblems.py: no room.\n'
    )
    assert not Path('tools/runs').exists()


def test_interruption_ends_what_runs(toys):
    program = (
        'import importlib.util, pathlib, signal, sys\n'
        f'sys.path.insert(0, {str(Path(ROOT, TOOL).parent)!r})\n'
        # one that is started in the background may be told to ignore it
        'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
        f'spec = importlib.util.spec_from_file_location("t", {str(ROOT / TOOL)!r})\n'
        'tool = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(tool)\n'
        'tool.TOOLS = pathlib.Path("tools")\n'
        'tool.run_tool(tool.make_parser(), tool.main, ["--methods", "seam"])\n'
    )
    env = dict(os.environ, TOY_DELAY='60', PYTHONPATH=str(ROOT))
    process = subprocess.Popen(
        [sys.executable, '-c', program], env=env, stdout=subprocess.PIPE, text=True
    )
    # drawing, then the pipeline
    while not Path('tools/runs').exists() or len(runs()) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said.endswith('what is finished stays.\n')
    assert len(runs()) == 2


def test_dry_run_prints_commands_and_does_nothing(toys, capsys):
    run(toys, '--dry-run', '--seeds', 4, '--methods', 'afa', '--work-dir', 'w')
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith('python tools/dataset_converters/make_emblems.py data/emblems')
    config = ROOT / 'configs/pipelines/afa_mit-tiny_emblems.py'
    rest = f'{config} --seed 4 --work-dir w/afa_mit-tiny_emblems/seed4 --workers 1'
    assert second == f'python tools/run_pipeline.py {rest}'
    assert not Path('tools/runs').exists() and not Path('w').exists()


def test_full_size_takes_emblems_as_own_photographs(toys, capsys):
    run(toys, '--dry-run', '--size', 'full', '--seeds', 0)
    drawing, *rest = capsys.readouterr().out.splitlines()
    assert '--size 448' in drawing and len(rest) == 4
    parser = load_file('tools/run_pipeline.py').make_parser()
    for line in rest:
        args = parser.parse_args(line.split()[2:])
        assert Path(args.config).is_file()
        assert args.images == 'data/emblems-448/JPEGImages'
        assert args.labels == 'data/emblems-448/image_labels.json'
        assert len(args.classes) == 6


def lengths(line):
    """Return the iterations of each training that a command sets."""
    words = line.split(' --cfg-options ')[1].split()
    return {w.split('.')[1]: int(w.split('max_iters=')[1]) for w in words}


def test_same_budget_makes_trainings_longer_or_shorter(toys, capsys):
    run(toys, '--dry-run', '--train-images', 44800, '--seeds', 0)
    _, *lines = capsys.readouterr().out.splitlines()
    found = dict(zip(SIZES['tiny'].pipelines, map(lengths, lines), strict=True))
    assert found['seam'] == dict(cam=1000, seam=500, affinity=500, segmentation=800)
    # 2000, 1000, 1200 in the configs
    assert found['afa'] == dict(classifier=1556, cam=778, afa=933)
    assert found['apc'] == dict(cam=2154, apc=1292)
    assert 'work_dirs/emblems_44800-images/apc_vit-tiny_emblems/seed0 ' in lines[-1]


def test_same_budget_at_full_size_counts_the_photographs(toys, capsys):
    run(toys, '--dry-run', '--size', 'full', '--train-images', 76800, '--seeds', 0)
    _, *lines = capsys.readouterr().out.splitlines()
    seam = lengths(lines[0])
    stages = read_pipeline(f'{ROOT}/{SEAM_VOC}').stages
    configs = {name: stage.config for name, stage in stages.items() if 'config' in stage}
    batches = {
        name: Config.fromfile(ROOT / configs[name]).train_dataloader.batch_size for name in seam
    }
    seen = sum(iters * batches[name] for name, iters in seam.items())
    assert abs(seen - 76800) <= sum(batches.values()) / 2


def test_budget_counts_iterations_that_a_pipeline_sets(toys):
    options = {'stages.apc.options.train_cfg.max_iters': 300}
    cfg = read_pipeline(str(ROOT / 'configs/pipelines/apc_vit-tiny_emblems.py'), options)
    Path('p.py').write_text(cfg.pretty_text)
    found = budget_options('p.py', ROOT / 'tools', 36800)
    # a dump sorts the stages by their names
    assert sorted(found.values()) == [600, 2000]


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--train-images', 0], '--train-images must be at least 1, got 0'),
        (['--jobs', 0], '--jobs must be at least 1, got 0'),
        (['--size', 'full', '--methods', 'vit-pcm'], '--methods vit-pcm: there is no pipeline'),
        (['--write', 'none.md'], '--write none.md cannot be read: No such file'),
        (['--write', 'bare.md'], '--write bare.md: the page has no line <!-- emblems table -->'),
    ],
)
def test_a_wrong_call_is_one_sentence_before_anything_runs(toys, capsys, words, message):
    Path('bare.md').write_text('Nothing.\n')
    with pytest.raises(SystemExit):
        run(toys, *words)
    assert message in capsys.readouterr().err
    assert not Path('tools/runs').exists()


# the table


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.name)
def test_stages_of_a_row_are_those_of_its_pipeline(row):
    name = SIZES['tiny'].pipelines[row.method]
    stages = read_pipeline(f'{ROOT}/configs/pipelines/{name}.py').stages
    masks = stages.get(row.crf, {})
    assert masks.get('crf') or masks.get('type') != 'MakePseudoMasks'
    stages = {name: stage.type for name, stage in stages.items()}
    assert stages[row.maps] == 'MakeCAMs'
    assert all(stages[training] == 'Train' for training in row.trainings)
    # ViT-PCM predicts its pseudo masks
    crf = 'Test' if row.name == 'ViT-PCM' else 'MakePseudoMasks'
    for column, kind in dict(par='RefineMaps', crf=crf, final='Test').items():
        assert stages.get(getattr(row, column), kind) == kind


def test_cells_are_means_and_values_of_the_seeds(toys, capsys):
    for seed, miou in enumerate((58.42, 59.34, 59.83)):
        finish(SEAM, 'seam_maps', seed=seed, train=figures(1), val=figures(miou, 0.1 * seed))
        for name in ('cam', 'seam', 'affinity', 'segmentation'):
            finish(SEAM, name, seed=seed, seconds=60 * (seed + 1))
    finish(SEAM, 'walks', seed=1, val=figures(64.56))
    finish(SEAM, 'test', seed=0, val=figures(0))
    run(toys, '--only-table')
    rows = table(capsys)
    assert list(rows) == [row.name for row in ROWS]
    assert rows['SEAM'] == {
        'CAM': '59.20 (58.42, 59.34, 59.83)',
        'm_FP': '0.10 (0.00, 0.10, 0.20)',
        'm_FN': '0.25 (0.25, 0.25, 0.25)',
        'after PAR': 'not run',
        'after the walk': 'not run, 64.56, not run',
        'after the CRF': 'not run',
        'segmentation': '0.00, not run, not run',
        'training images': '32,000',
        'training time': '8:00 (4:00, 8:00, 12:00)',
    }
    # the same trainings, and no stage
    assert rows['CAM, ResNet38d']['training images'] == '8,000'
    assert rows['CAM, ResNet38d']['training time'] == '2:00 (1:00, 2:00, 3:00)'
    assert rows['CAM, ResNet38d']['segmentation'] == '-'
    assert not Path('tools/runs').exists()


def test_budget_of_unfinished_trainings_is_not_shown(toys, capsys):
    finish(SEAM, 'cam')
    run(toys, '--only-table', '--seeds', 0)
    rows = table(capsys)
    assert rows['CAM, ResNet38d']['training time'] == '1:00'
    assert rows['SEAM']['training time'] == rows['SEAM']['training images'] == 'not run'


def test_full_size_has_the_stages_of_the_pipelines_of_voc(toys, capsys):
    work = 'work_dirs/emblems-448'
    for name in ('seam_maps', 'masks'):  # without CRF there
        finish('seam_r38_voc', name, work=work, train=figures(60))
    run(toys, '--only-table', '--size', 'full', '--seeds', 0)
    rows = table(capsys)
    assert list(rows) == ['SEAM', 'AFA', 'SemFormer', 'APC']
    assert rows['SEAM']['CAM'] == '60.00' and rows['SEAM']['after PAR'] == '-'
    assert rows['SEAM']['after the CRF'] == '-'


def test_table_goes_between_the_markers_of_a_page(toys):
    Path('page.md').write_text(PAGE)
    run(toys, '--only-table', '--write', 'page.md')
    expected = '<!-- emblems table -->\n\nNot run.\n\n<!-- end -->'
    assert expected in Path('page.md').read_text()
    with pytest.raises(SystemExit):  # not into the place of another budget
        run(toys, '--only-table', '--write', 'page.md', '--train-images', 9)
    finish(SEAM, 'cam_maps', val=figures(50))
    run(toys, '--only-table', '--write', 'page.md', '--seeds', 0)
    lines = Path('page.md').read_text().splitlines()
    assert lines[0] == 'Before.' and lines[-1] == 'After.'
    assert lines[4].startswith('| seed 0 | CAM |')
    assert sum(line.startswith('|') for line in lines) == 2 + len(ROWS)
    assert all(line.count(' | ') == len(COLUMNS + BUDGET) for line in lines if line.startswith('|'))


def test_benchmarks_have_a_place_for_the_tables():
    page = (ROOT / 'docs/benchmarks.md').read_text()
    for marker in (m for size in SIZES.values() for m in (size.marker, size.budget_marker())):
        assert f'{marker}\n\nnew\n\n<!-- end -->' in put_between(page, marker, 'new\n')
