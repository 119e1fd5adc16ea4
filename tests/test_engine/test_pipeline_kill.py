"""A pipeline that is killed in stages of each kind ends as one that is left alone."""

import json
import os
import random
import re
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import pytest

from mmwsss.engine.pipeline import Pipeline, read_pipeline, run_pipeline

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
TIMEOUT = 300
TRAININGS = ('cam', 'affinity', 'segmentation')
# of which there are others of the same kind: the maps of the baseline take the place of SEAM's
LEFT_OUT = ('cam_maps', 'seam', 'par_maps')
# two trainings, files by a network, files by several processes, and the last stage
KILLED = ('cam', 'seam_maps', 'labels', 'segmentation', 'test')
# two checkpoints: a training that is killed has one to go on from, or none
OPTIONS = {
    'train_cfg.max_iters': 4,
    'train_dataloader.batch_size': 4,
    'default_hooks.checkpoint.interval': 2,
    'default_hooks.logger.interval': 1,
}


def tiny_pipeline(root):
    """Return the pipeline of the package on a few small images, one split a stage."""
    cfg = read_pipeline(
        str(ROOT / 'configs/pipelines/seam_r38-tiny_emblems.py'),
        {'data_root': str(root / 'emblems')},
    )
    cfg.stages = [stage for stage in cfg.stages if stage.name not in LEFT_OUT]
    for stage in cfg.stages:
        if stage.name == 'seam_maps':
            stage.model = 'cam'
        if stage.name in TRAININGS:
            stage.options = OPTIONS
        elif 'splits' in stage and stage.type != 'Test':
            stage.splits = ['train']
    cfg.stages[0].settings = dict(num_train=16, num_val=6, size=64)
    return Pipeline(cfg, root / 'work', ROOT / 'tools')


def start(root):
    """Run the pipeline in a process of its own, which has imported everything already."""
    log = root / 'out.log'
    with warnings.catch_warnings():
        # Python 3.12 warns where a process with threads forks
        warnings.simplefilter('ignore', DeprecationWarning)
        if pid := os.fork():
            return pid
    code = 1
    sys.stdout = sys.stderr = open(log, 'w', buffering=1)
    try:
        warnings.simplefilter('default')  # as outside pytest
        run_pipeline(tiny_pipeline(root))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # nothing of pytest may run here
        os._exit(code)


def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def read(path):
    return path.read_text() if path.exists() else ''


def wait_for_stage(root, stage, pid):
    end = time.monotonic() + TIMEOUT
    while f'] {stage}: ' not in read(root / 'out.log'):
        assert time.monotonic() < end
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), read(root / 'out.log')
        time.sleep(0.02)


def has_ended(root, stage):
    """Tell whether a stage has said how long it took."""
    text = read(root / 'out.log').partition(f'] {stage}: ')[2]
    return re.search(r'^ +\d+:\d\d(,|$)', text, re.MULTILINE) is not None


def kill_in_stage(root, stage, seconds):
    """Start the pipeline, kill it when the stage has run so long; tell whether it still ran."""
    pid = start(root)
    wait_for_stage(root, stage, pid)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not has_ended(root, stage):
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    # the last stage may have been over before
    assert end_of(pid) in (-signal.SIGKILL, 0), read(root / 'out.log')
    within = not has_ended(root, stage)
    (root / 'out.log').rename(root / f'killed_in_{stage}.log')
    return within


def figures(root):
    """Return what the file and the table of the results say, without seconds."""
    stages = json.loads((root / 'work/results.json').read_text())['stages']
    for stage in stages.values():
        stage.pop('seconds')
    rows = re.findall(r'^\|(.*)\|$', (root / 'out.log').read_text(), re.MULTILINE)
    cells = [[cell.strip() for cell in row.split('|')] for row in rows]
    return stages, [[name, what, *numbers] for name, what, _, *numbers in cells]


def files(root):
    """Return the content of all files of maps, labels and masks."""
    found = [path for kind in ('npz', 'png') for path in (root / 'work').glob(f'*/*/*.{kind}')]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


@pytest.fixture(scope='module')
def left_alone(tmp_path_factory):
    root = tmp_path_factory.mktemp('left_alone')
    assert end_of(start(root)) == 0, (root / 'out.log').read_text()
    return root


def test_pipeline_killed_again_and_again_ends_as_one_that_is_left_alone(left_alone, tmp_path):
    draw = random.Random(0)
    stages = json.loads((left_alone / 'work/results.json').read_text())['stages']
    within = [
        kill_in_stage(tmp_path, name, draw.uniform(0, 0.9 * stages[name]['seconds']))
        for name in KILLED
    ]
    # all of them, unless the machine became much faster in between
    assert sum(within) >= 3
    assert end_of(start(tmp_path)) == 0, (tmp_path / 'out.log').read_text()
    expected, found = files(left_alone), files(tmp_path)
    assert len(expected) == 16 * 4 + 6
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []
    assert figures(tmp_path) == figures(left_alone)
    assert len(figures(tmp_path)[1]) == 10
