"""What a pipeline does with its stages, whatever they are: toys that copy files."""

import errno
import json
import os
import re
import shutil

import pytest

from mmwsss.errors import UsageError
from mmwsss.pipeline import run_pipeline, show_plan
from mmwsss.utils import io
from tests.toy_pipeline import (
    NAMES,
    ToyMaps,
    make_pipeline,
    make_toys,
    register,
    toy_config,
    unregister,
)


@pytest.fixture(autouse=True)
def _toys():
    register()
    yield
    unregister()


@pytest.fixture(scope='module')
def toys(tmp_path_factory):
    return make_toys(tmp_path_factory.mktemp('toys'))


@pytest.fixture
def work(tmp_path):
    return tmp_path / 'work'


@pytest.fixture
def run(toys, work, capsys):
    """Return a function that runs the pipeline and gives what it printed."""

    def run(*, show=False, folder=work, limits=None, **changes):
        pipeline = make_pipeline(toys, folder, toy_config(toys, **changes))
        capsys.readouterr()
        (show_plan if show else run_pipeline)(pipeline, **(limits or {}))
        return capsys.readouterr().out

    return run


def files(folder):
    return {path.name for path in folder.iterdir()}


def read(path):
    return json.loads(path.read_text())


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*')}


# from the beginning to the end


def test_all_stages_make_their_files(run, work):
    run()
    for stage, suffix in (('maps', '.npz'), ('masks', '.png'), ('last', '.png')):
        assert files(work / stage / 'val') == {name + suffix for name in NAMES}


def test_what_is_printed(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = re.sub(r'\d+:\d\d', 'TIME', run())
    text = re.sub(
        r'val [\d.]+ % mIoU at background score [\d.]+, m_FP [\d.]+, m_FN [\d.]+', 'M', text
    )
    assert (
        text
        == """Toys, in work
[1/3] maps: ToyMaps (4 images)
        TIME, M
[2/3] masks: ToyMasks (4 images)
        TIME, val 100.00 % mIoU, m_FP 0.00, m_FN 0.00
[3/3] last: ToyMasks (4 images)
        TIME, val 100.00 % mIoU, m_FP 0.00, m_FN 0.00

+-------+----------+------+----------+
| stage | what     | time | mIoU val |
+-------+----------+------+----------+
| maps  | ToyMaps  | TIME |    33.33 |
| masks | ToyMasks | TIME |   100.00 |
| last  | ToyMasks | TIME |   100.00 |
+-------+----------+------+----------+
figures: work/results.json
report:  work/report.html
This run took TIME.
"""
    )


def test_manifest(run, work):
    run()
    found = read(work / 'masks/manifest.json')
    assert found['files'] == dict(val=4)
    assert found['figures']['val']['mIoU'] == 100
    assert found['settings']['entry'] == dict(file='one.png', source='maps', splits=['val'])
    assert found['inputs'].keys() == {'maps'}
    assert found['commands'][0].startswith('python ')
    assert {'mmwsss', 'torch'} <= found['versions'].keys()
    assert not (work / 'masks/started.json').exists()


def test_results_are_those_of_the_manifests(run, work):
    run()
    results = read(work / 'results.json')
    assert list(results['stages']) == ['maps', 'masks', 'last']
    for name, entry in results['stages'].items():
        assert entry['figures'] == read(work / name / 'manifest.json')['figures']


def test_stages_of_a_users_own_are_in_the_report(run, work):
    run()
    made = {name: entry['makes'] for name, entry in read(work / 'results.json')['stages'].items()}
    assert made == dict(maps='maps', masks='masks', last='masks')
    pictures = (work / 'report.html').read_text().partition('>image<')[2].partition('</tr>')[0]
    assert re.findall(r'>(\w+)</th>', pictures) == ['maps', 'masks', 'last', 'truth']


def test_curve_of_maps(run, work):
    run()
    assert len((work / 'maps/curve_val.csv').read_text().splitlines()) == 118


def test_finished_stages_are_skipped(run, work):
    run()
    before = {name: times(work / name) for name in ('maps', 'masks', 'last')}
    assert run().count('finished before, val') == 3
    assert {name: times(work / name) for name in before} == before


def test_folder_may_be_moved(run, work, tmp_path):
    run()
    work.rename(tmp_path / 'moved')
    assert run(folder=tmp_path / 'moved').count('finished before') == 3


def test_processes_and_workers_change_nothing(run, toys, work, capsys):
    run()
    show_plan(make_pipeline(toys, work, workers=7, processes=3))
    assert capsys.readouterr().out.count('finished') == 3


# what was stopped


def test_failed_stage_says_why_and_goes_on(run, work, monkeypatch):
    monkeypatch.setenv('TOY_FAIL', 'c')
    message = (
        r'^stage maps failed: toy.py: c is wrong: make it right\. \(see .*work/maps/maps\.log\)$'
    )
    with pytest.raises(UsageError, match=message):
        run()
    assert files(work / 'maps/val') == {'a.npz', 'b.npz'}
    monkeypatch.delenv('TOY_FAIL')
    before = times(work / 'maps/val')
    assert '| stopped at 2 of 4 images | go on' in run(show=True)
    assert '\n        maps goes on: 2 of 4 images\n' in run()
    assert before.items() - times(work / 'maps/val').items() == set()


def test_what_a_tool_recorded_is_said(run, toys):
    tools = toys / 'tools'
    text = (tools / 'toy.py').read_text()
    (tools / 'toy.py').write_text(
        'import json, os, sys\n'
        'message = dict(message="UsageError: a.png is damaged: fetch it\\nagain.")\n'
        'json.dump(dict(message=message), open(os.environ["TORCHELASTIC_ERROR_FILE"], "w"))\n'
        'sys.exit("the last line of the log")\n'
    )
    try:
        with pytest.raises(UsageError, match=r'stage maps failed: a\.png is .*: fetch it again\. '):
            run()
    finally:
        (tools / 'toy.py').write_text(text)


def test_stage_is_prepared_before_its_tool_runs(run, work, monkeypatch):
    seen = []
    monkeypatch.setattr(ToyMaps, 'prepare', lambda self: seen.append(files(work / 'maps')))
    run(limits=dict(last='maps'))
    assert seen == [{'started.json'}]


def test_killed_tool_ends_with_a_sentence(run, toys, monkeypatch, tmp_path):
    tools = toys / 'tools'
    text = (tools / 'toy.py').read_text()
    (tools / 'toy.py').write_text('import os; os.kill(os.getpid(), 9)')
    with pytest.raises(UsageError, match='stage maps failed: it was killed by signal 9, perhaps'):
        run()
    (tools / 'toy.py').write_text(text)


def test_lost_files_are_made_again(run, work):
    run()
    (work / 'masks/val/b.png').unlink()
    assert '| incomplete: 1 of 4 files are missing | go on ' in run(show=True)
    text = run()
    assert '        masks is mended: 1 of 4 files are missing' in text
    assert '[3/3] last: finished before' in text
    assert files(work / 'masks/val') == {f'{name}.png' for name in NAMES}


def test_stage_that_is_gone_runs_with_what_follows(run, work):
    run()
    shutil.rmtree(work / 'masks')
    text = run()
    assert '[1/3] maps: finished before' in text
    assert '[2/3] masks: ToyMasks (4 images)' in text
    assert '        last runs again: masks ran again (old files: ' in text


def test_what_follows_a_stage_that_was_stopped_again(run, work, monkeypatch):
    """It was gone, and the run that made it again was stopped in the middle of it."""
    run()
    shutil.rmtree(work / 'masks')
    monkeypatch.setenv('TOY_FAIL', 'c')
    with pytest.raises(UsageError, match='stage masks failed'):
        run()
    monkeypatch.delenv('TOY_FAIL')
    text = run()
    assert '        masks goes on: 2 of 4 images' in text
    assert '        last runs again: masks ran again' in text


def test_seconds_of_a_stopped_run_count(run, work, monkeypatch):
    monkeypatch.setenv('TOY_FAIL', 'c')
    with pytest.raises(UsageError):
        run()
    started = read(work / 'maps/started.json')
    started['began'] -= 100
    (work / 'maps/started.json').write_text(json.dumps(started))
    monkeypatch.delenv('TOY_FAIL')
    run()
    assert 100 <= read(work / 'maps/manifest.json')['seconds'] < 110


# what was changed


def test_changed_stage_runs_again_with_what_follows(run, work):
    run()
    old = (work / 'masks/val/a.png').read_bytes()
    changed = dict(masks=dict(file='two.png'))
    assert '| changed: file was one.png, is two.png | run ' in run(show=True, **changed)
    text = run(**changed)
    assert '[1/3] maps: finished before' in text
    assert '        masks runs again: file was one.png, is two.png (old files: ' in text
    assert '        last runs again: masks ran again (old files: ' in text
    assert (work / 'masks/val/a.png').read_bytes() != old
    assert (work / 'replaced/masks-1/val/a.png').read_bytes() == old
    assert files(work / 'replaced') == {'masks-1', 'last-1'}


def test_nothing_that_is_replaced_is_lost(run, work):
    for file in ('one.png', 'two.png', 'zero.png'):
        run(last=dict(file=file))
    assert files(work / 'replaced') == {'last-1', 'last-2'}


def test_title_changes_nothing(run):
    run()
    assert run(maps=dict(title='Maps')).count('finished before') == 3


def test_another_source_is_a_change(run):
    run()
    text = run(last=dict(source='maps'))
    assert '[2/3] masks: finished before' in text
    assert '        last runs again: source was masks, is maps' in text


def test_stopped_stage_that_changed_runs_afresh(run, work, monkeypatch):
    monkeypatch.setenv('TOY_FAIL', 'c')
    with pytest.raises(UsageError):
        run(limits=dict(last='maps'))
    monkeypatch.delenv('TOY_FAIL')
    run(maps=dict(splits=['val'], file='one.npz'), limits=dict(last='maps'))
    assert 'replaced' not in files(work)
    assert 'val' in files(work / 'maps')


# some of the stages


def test_until(run, work):
    text = run(limits=dict(last='masks'))
    assert '[2/3] masks' in text
    assert '[3/3]' not in text
    assert not (work / 'last').exists()
    assert list(read(work / 'results.json')['stages']) == ['maps', 'masks']


def test_from(run, work):
    run()
    before = times(work / 'maps')
    text = run(limits=dict(first='masks'))
    assert '[1/3] maps: finished before' in text
    assert '[2/3] masks: ToyMasks (4 images)' in text
    assert files(work / 'replaced') == {'masks-1', 'last-1'}
    assert times(work / 'maps') == before


def test_from_and_until(run, work):
    run()
    text = run(limits=dict(first='masks', last='masks'))
    assert files(work / 'replaced') == {'masks-1'}
    assert '[3/3]' not in text
    assert '        last runs again: masks ran again' in run()


@pytest.mark.parametrize(
    ('limits', 'message'),
    [
        (dict(first='walks'), r"--from: there is no stage 'walks', there are maps, masks, last\."),
        (dict(last='walks'), r"--until: there is no stage 'walks', there are maps"),
        (dict(first='last', last='masks'), '--from last comes after --until masks: name another'),
        (dict(first='last'), '--from last needs what precedes it, but masks is missing: leave out'),
    ],
)
def test_limits_that_cannot_be(run, work, limits, message):
    run(limits=dict(last='maps'))
    before = times(work)
    with pytest.raises(UsageError, match=message):
        run(limits=limits)
    assert {path for path in times(work)} == before.keys()


def test_plan_writes_nothing(run, work):
    text = run(show=True)
    assert not work.exists()
    assert re.findall(r'\| (\w+) +\| missing +\| run', text) == ['maps', 'masks', 'last']
    assert text.count('toy.py') == 3
    run()
    before = times(work)
    text = run(show=True, limits=dict(first='masks'))
    assert times(work) == before
    assert re.findall(r'\| (\w+) +\| finished +\| run again', text) == ['masks', 'last']


# figures


def test_split_without_masks_is_not_evaluated(run, tmp_path):
    absent = tmp_path / 'absent'
    text = run(split=dict(masks=str(absent)))
    assert text.count(f'        val is not evaluated: there is no folder {absent}.') == 1
    assert 'mIoU' not in text


def test_masks_that_come_later_are_used(run, work, toys, tmp_path):
    truth = tmp_path / 'truth'
    run(split=dict(masks=str(truth)))
    before = times(work / 'last/val')
    shutil.copytree(toys / 'truth', truth)
    text = run(split=dict(masks=str(truth)))
    assert '[3/3] last: finished before, val 100.00 % mIoU' in text
    assert times(work / 'last/val') == before
    shutil.copy(toys / 'tools/two.png', truth / 'a.png')
    assert '[3/3] last: finished before, val 77.50 %' in run(split=dict(masks=str(truth)))


def test_names_to_be_evaluated(run, toys, tmp_path):
    (tmp_path / 'names.txt').write_text('a\nb\n')
    truth = tmp_path / 'truth'
    truth.mkdir()
    for name in 'ab':
        shutil.copy(toys / f'truth/{name}.png', truth)
    text = run(split=dict(masks=str(truth), names=str(tmp_path / 'names.txt')))
    assert '100.00 % mIoU' in text
    message = (
        r'split val: .*truth lacks the true masks of 2 of 4 images \(c, d\): .*splits\.val\.names'
    )
    with pytest.raises(UsageError, match=message):
        run(split=dict(masks=str(truth)))


def test_truncated_file_of_maps(run, work, tmp_path):
    run(split=dict(masks=str(tmp_path / 'later')), limits=dict(last='maps'))
    path = work / 'maps/val/b.npz'
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        UsageError, match=r'maps/val/b\.npz is damaged or no CAM file .*: delete it'
    ):
        run()
    path.unlink()
    assert 'maps is mended: 1 of 4 files are missing' in run()


# folders and disks


def test_folder_that_cannot_be_made(run, toys):
    with pytest.raises(
        UsageError, match=r'a\.png/work cannot be written \(Not a directory\): make'
    ):
        run(folder=toys / 'images/a.png/work')


def test_folder_without_permission(run, work, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'open', refuse)
        with pytest.raises(UsageError, match=r'work cannot be written \(Permission denied\): make'):
            run()
    run()


@pytest.mark.parametrize(
    ('number', 'file'), [(1, 'started.json'), (2, 'curve_val.csv'), (3, 'manifest.json')]
)
def test_disk_that_is_full(run, work, monkeypatch, number, file):
    calls = []

    def fail(file):
        calls.append(file)
        if len(calls) == 3 + number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    maps = dict(masks=dict(type='ToyMaps'), limits=dict(last='masks'))
    with monkeypatch.context() as patch:
        patch.setattr(io.os, 'fsync', fail)
        message = rf'masks/{file} cannot be written \(No space left on device\): make room'
        with pytest.raises(UsageError, match=message):
            run(**maps)
    text = run(**maps)
    assert '[1/3] maps: finished before' in text
    assert text.count('% mIoU') == 2


def test_disk_that_is_full_for_a_tool(run, work, monkeypatch):
    monkeypatch.setenv('TOY_FAIL', 'b')
    monkeypatch.setenv('TOY_DISK', '1')
    message = (
        r'stage maps failed: OSError: \[Errno 28\] No space left on device \(see .*maps\.log\)'
    )
    with pytest.raises(UsageError, match=message):
        run()
    assert files(work / 'maps/val') == {'a.npz'}
    monkeypatch.delenv('TOY_FAIL')
    assert 'maps goes on: 1 of 4 images' in run()


def test_damaged_manifest(run, work):
    run()
    (work / 'masks/manifest.json').write_text('{')
    with pytest.raises(UsageError, match=r'masks/manifest\.json is damaged .*: remove it'):
        run()


def test_manifest_of_another_format(run, work):
    run()
    (work / 'masks/manifest.json').write_text('{"format": 2}')
    with pytest.raises(UsageError, match='has format 2, this program reads 1: name another'):
        run()


# settings


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            dict(masks=dict(type='Tay')),
            r"stage masks: there is no type 'Tay'; there are DrawEmblems",
        ),
        (
            dict(masks=dict(files=1)),
            r"stage masks: there is no 'files' .*; ToyMasks takes splits",
        ),
        (dict(masks=dict(splits=['test'])), r"stage masks: there is no split 'test', the pipeline"),
        (dict(masks=dict(splits=[])), 'stage masks: splits is empty; name one of val'),
        (dict(masks=dict(source='last')), r"stage masks: source='last' comes later: name one of"),
        (dict(masks=dict(source='walks')), r"stage masks: source='walks' does not exist: name one"),
        (
            dict(split=dict(name='val')),
            r"splits\.val: there is no 'name' .*; it takes split",
        ),
        (dict(split=dict(split='')), r'splits\.val: split is missing; add split=\.\.\.'),
        (dict(split=dict(images='absent')), r'splits\.val\.images: there is no folder absent; get'),
        (dict(split=dict(names='absent.txt')), r'splits\.val\.names: there is no file absent\.txt'),
    ],
)
def test_settings_that_cannot_be(run, work, changes, message):
    with pytest.raises(UsageError, match=message):
        run(**changes)
    assert not work.exists()


@pytest.mark.parametrize('name', ['a/b', 'replaced'])
def test_names_that_are_no_folders(toys, work, name):
    cfg = toy_config(toys)
    cfg.stages = {name: cfg.stages.maps}
    with pytest.raises(UsageError, match=rf"stage {name}: '{name}' cannot be the name of a folder"):
        make_pipeline(toys, work, cfg)


def test_stage_that_an_inherited_config_takes_out(toys, work):
    cfg = toy_config(toys)
    cfg.stages.masks = None
    cfg.stages.last.source = 'maps'
    assert list(make_pipeline(toys, work, cfg).stages) == ['maps', 'last']


@pytest.mark.parametrize('key', ['stages', 'splits', 'classes'])
def test_missing_entries(toys, work, key):
    cfg = toy_config(toys)
    cfg.pop(key)
    with pytest.raises(UsageError, match=rf'The pipeline .*toys\.py has no {key}; add {key} ='):
        make_pipeline(toys, work, cfg)


def test_classes_that_cannot_be(toys, work):
    cfg = toy_config(toys)
    cfg.classes = ['dog', 'dog']
    with pytest.raises(UsageError, match='classes: .*at least one class beside the background'):
        run_pipeline(make_pipeline(toys, work, cfg))


def test_number_of_workers(toys, work):
    with pytest.raises(UsageError, match='--workers must be at least 1, got 0'):
        make_pipeline(toys, work, workers=0)
