"""run_pipeline.py: its command line, signals, several processes, tools that fail."""

import errno
import fcntl
import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmwsss.cli.launch import run_tool
from mmwsss.datasets import make_emblems
from mmwsss.datasets.emblems import EmblemsSettings
from mmwsss.errors import UsageError
from mmwsss.evaluation import write_cam_file
from mmwsss.pipeline import STAGES, run_pipeline
from mmwsss.pipeline.locks import locked
from mmwsss.pipeline.tool_configs import config_text
from mmwsss.pipeline.world import World, join_world
from tests.loading import load_file
from tests.toy_pipeline import NAMES, make_pipeline, make_toys, register, toy_config, unregister
from tests.weak_data import save_text

ROOT = Path(__file__).parents[2]
TIMEOUT = 60


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
def tool(toys, monkeypatch):
    module = load_file('tools/run_pipeline.py')
    monkeypatch.setattr(module, 'TOOLS', toys / 'tools')
    return module


@pytest.fixture
def config(toys, tmp_path):
    """Return a function that writes the config of the toys."""

    def config(**changes):
        path = tmp_path / 'toys.py'
        path.write_text(f'"""Toys."""\n{config_text(toy_config(toys, **changes).to_dict())}')
        return str(path)

    return config


def call(tool, *words):
    run_tool(tool.make_parser(), tool.main, [str(word) for word in words])


def fork(function, log, **environment):
    """Run a function in a process of its own, which has imported everything already."""
    with warnings.catch_warnings():
        # Python 3.12 warns where a process with threads forks
        warnings.simplefilter('ignore', DeprecationWarning)
        if pid := os.fork():
            return pid
    code = 1
    sys.stdout = sys.stderr = open(log, 'w', buffering=1)
    try:
        warnings.simplefilter('default')  # as outside pytest
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(environment)
        function()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        # nothing of pytest may run here
        os._exit(code)


def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_for(condition):
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] not in 'ZX'
    except FileNotFoundError:
        return False


def toy_pid(log):
    """Return the process of the last toy, once it has said so."""
    wait_for(lambda: log.exists() and re.search(r'pid (\d+)\n', log.read_text()))
    return int(re.findall(r'pid (\d+)\n', log.read_text())[-1])


# the command line


def test_config_in_one_command(tool, config, work, capsys):
    call(tool, config(), '--work-dir', work, '--workers', '1')
    assert capsys.readouterr().out.count('100.00 % mIoU') == 2


def test_folder_of_results_has_the_name_of_the_config(tool, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(tool, config(), '--until', 'maps', '--workers', '1')
    assert (tmp_path / 'work_dirs/toys/maps/manifest.json').exists()


def test_options(tool, config, work, capsys):
    words = [config(), '--work-dir', work, '--workers', '1', '--seed', '4']
    call(tool, *words, '--cfg-options', 'stages.masks.file=two.png')
    assert 'two.png' in (work / 'masks/masks.log').read_text()
    assert '"seed": 4' in (work / 'results.json').read_text()
    call(tool, *words, '--from', 'last', '--dry-run', '--cfg-options', 'stages.masks.file=two.png')
    assert capsys.readouterr().out.count('run again') == 1


OWN_STAGE = """
from mmwsss.pipeline import STAGES, Command, Stage


@STAGES.register_module()
class CopyOne(Stage):
    takes = dict(source=['masks'])

    def __init__(self, name, *, source, title=None):
        super().__init__(name, title=title, sources=dict(source=source))

    def commands(self):
        file = self.source('source').folder / 'val/a.png'
        return [Command('toy.py', (str(file), str(self.folder), '--names', 'z'))]
"""


def test_stage_of_ones_own(tool, toys, work, tmp_path, monkeypatch, capsys):
    save_text(tmp_path / 'own_stages.py', OWN_STAGE)
    monkeypatch.syspath_prepend(tmp_path)
    cfg = toy_config(toys)
    cfg.custom_imports = dict(imports=['own_stages'], allow_failed_imports=False)
    cfg.stages['copy'] = dict(type='CopyOne', source='last')
    path = save_text(tmp_path / 'own.py', config_text(cfg.to_dict()))
    try:
        call(tool, path, '--work-dir', work, '--workers', '1')
        call(tool, path, '--work-dir', work, '--workers', '1')
    finally:
        STAGES.module_dict.pop('CopyOne', None)
    assert (work / 'copy/z.png').read_bytes() == (work / 'last/val/a.png').read_bytes()
    assert capsys.readouterr().out.count('[4/4] copy: ') == 2


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['absent.py'], r'run_pipeline\.py: There is no config absent\.py; check the path\.'),
        (['CONFIG', '--from', 'x'], r"--from: there is no stage 'x', there are maps, masks, last"),
        (['CONFIG', '--workers', '0'], r'--workers must be at least 1, got 0'),
        (
            ['CONFIG', '--cfg-options', 'stages.x.file=1'],
            r"has no stage 'x'; its stages are",
        ),
        (['CONFIG', '--cfg-options', 'stages.maps.type=x'], r"stage maps: there is no type 'x'"),
        (['CONFIG', '--launcher', 'pytorch'], r"needs torchrun, which would have set 'RANK'"),
        (['CONFIG', '--launcher', 'slurm'], r"needs srun, which would have set 'SLURM_NTASKS'"),
        (['CONFIG', '--launcher', 'mpi'], r'--launcher mpi: take pytorch \(torchrun\) or slurm'),
    ],
)
def test_wrong_calls_end_with_a_sentence(tool, config, work, capsys, monkeypatch, words, message):
    for key in ('RANK', 'WORLD_SIZE', 'SLURM_NTASKS'):
        monkeypatch.delenv(key, raising=False)
    words = [config() if word == 'CONFIG' else word for word in words]
    with pytest.raises(SystemExit, match='2'):
        call(tool, *words, '--work-dir', work)
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert re.search(message, error)
    assert not (work / 'maps').exists()


# signals, two runs


@pytest.fixture
def slow(toys, work, tmp_path):
    """Start a run whose first stage takes a while; return its process, the tool's, and its log."""
    started = []

    def start():
        cfg = toy_config(toys, maps=dict(delay=0.5))
        pipeline = make_pipeline(toys, work, cfg)
        log = tmp_path / 'out.log'
        started.append(fork(lambda: run_pipeline(pipeline), log))
        started.append(toy_pid(work / 'maps/maps.log'))
        return (*started, log)

    yield start
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(started[0], 0)


def finish(toys, work, capsys):
    run_pipeline(make_pipeline(toys, work))
    assert {path.stem for path in (work / 'maps/val').iterdir()} == set(NAMES)
    return capsys.readouterr().out


def test_tool_dies_with_a_run_that_is_killed(slow, toys, work, capsys):
    run, toy, _ = slow()
    wait_for(lambda: (work / 'maps/val/a.npz').exists())
    os.kill(run, signal.SIGKILL)
    assert end_of(run) == -signal.SIGKILL
    wait_for(lambda: not is_running(toy))
    left = {path.name for path in (work / 'maps/val').iterdir()}
    assert 'd.npz' not in left
    assert 'maps goes on: ' in finish(toys, work, capsys)


def test_interrupted_run_ends_the_tool_and_says_how_to_go_on(slow, toys, work, capsys):
    run, toy, log = slow()
    os.kill(run, signal.SIGINT)
    assert end_of(run) == 130
    assert not is_running(toy)
    assert not (work / 'maps/val/d.npz').exists()
    text = log.read_text()
    assert text.endswith(
        '\nStopped in maps. The same command goes on from there; what is finished stays.\n'
    )
    assert 'Traceback' not in text
    assert 'maps goes on: ' in finish(toys, work, capsys)


def test_two_runs_in_one_folder(slow, toys, work):
    run, toy, _ = slow()
    message = rf'another run is at work in {work}, process {run} on {socket.gethostname()}: wait'
    with pytest.raises(UsageError, match=message):
        run_pipeline(make_pipeline(toys, work))
    assert is_running(toy)


def test_tools_hold_the_lock_too(slow, work):
    _, toy, _ = slow()
    files = [os.readlink(path) for path in Path(f'/proc/{toy}/fd').iterdir()]
    assert str(work / '.lock') in files


@pytest.mark.parametrize(('patience', 'works'), [(TIMEOUT, True), (0, False)])
def test_tools_of_a_killed_run_are_waited_for(work, tmp_path, monkeypatch, patience, works):
    gone = fork(lambda: None, tmp_path / 'gone.log')
    end_of(gone)
    work.mkdir()
    (work / '.lock').write_text(f'{socket.gethostname()} {gone}')
    file = os.open(work / '.lock', os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX)
    threading.Timer(0.3, os.close, [file]).start()
    monkeypatch.setattr('mmwsss.pipeline.locks.PATIENCE', patience)
    expected = nullcontext() if works else pytest.raises(UsageError, match=f'process {gone} on')
    with expected, locked(work):
        assert (work / '.lock').read_text().endswith(f' {os.getpid()}')
    time.sleep(0.4)


def test_folder_that_cannot_be_locked(work, monkeypatch, capsys):
    def refuse(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', refuse)
    with locked(work):
        text = capsys.readouterr().out
    assert text == (
        f'{work} cannot be locked (No locks available): see to it that no other run writes into it.'
        '\n'
    )


# several processes


def parents(tool, config, work, tmp_path, *, nodes=1, size=2, **environment):
    """Run the tool in several processes as torchrun would; return their ends and outputs."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    words = [config, '--work-dir', work, '--workers', '1', '--launcher', 'pytorch']
    local_size = size // nodes
    pids, logs = [], []
    for rank in range(size):
        logs.append(tmp_path / f'out{rank}.log')
        group = dict(
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=port,
            WORLD_SIZE=size,
            RANK=rank,
            LOCAL_RANK=rank % local_size,
            LOCAL_WORLD_SIZE=local_size,
            GROUP_RANK=rank // local_size,
            GROUP_WORLD_SIZE=nodes,
        )
        group = {key: str(value) for key, value in group.items()}
        pids.append(fork(lambda: call(tool, *words), logs[-1], **group, **environment))
    return [end_of(pid) for pid in pids], [log.read_text() for log in logs]


def test_model_stages_run_on_all_processes(tool, config, work, tmp_path):
    path = config(maps=dict(spread='ranks'), masks=dict(spread='ranks'))
    ends, logs = parents(tool, path, work, tmp_path)
    assert ends == [0, 0], logs
    assert '[3/3] last' in logs[0]
    assert logs[1] == ''
    groups = {}
    for stage in ('maps', 'masks'):
        texts = [(work / stage / f'{stage}{end}.log').read_text() for end in ('', '.rank1')]
        groups[stage] = [re.search(r'group (.*)', text)[1].split() for text in texts]
        ranks = [group[:3] + group[4:] for group in groups[stage]]
        assert ranks == [['0', '2', '0', 'False'], ['1', '2', '1', 'False']]
        assert groups[stage][0][3] == groups[stage][1][3]
    assert groups['maps'][0][3] != groups['masks'][0][3]
    assert not (work / 'last/last.rank1.log').exists()


def test_file_stages_are_shared_by_the_machines(tool, config, work, tmp_path):
    ends, logs = parents(tool, config(maps=dict(spread='nodes')), work, tmp_path, nodes=2)
    assert ends == [0, 0], logs
    assert '--share 0 2' in (work / 'maps/maps.log').read_text()
    assert '--share 1 2' in (work / 'maps/maps.rank1.log').read_text()


def test_file_stages_run_once_on_one_machine(tool, config, work, tmp_path):
    ends, logs = parents(tool, config(maps=dict(spread='nodes')), work, tmp_path)
    assert ends == [0, 0], logs
    assert '--share' not in (work / 'maps/maps.log').read_text()
    assert not (work / 'maps/maps.rank1.log').exists()


def test_failure_in_one_process_ends_all(tool, config, work, tmp_path):
    # of four images the second process has the second and the fourth
    ends, logs = parents(tool, config(maps=dict(spread='ranks')), work, tmp_path, TOY_FAIL='b')
    assert ends == [2, 2]
    assert 'stage maps failed in process 1: toy.py: b is wrong: make it right.' in logs[1]
    assert 'another process of the pipeline has ended: see its message.' in logs[0]


def test_wrong_settings_end_all_processes(tool, config, work, tmp_path):
    ends, logs = parents(tool, config(maps=dict(splits=['x'])), work, tmp_path)
    assert ends == [2, 0]
    assert "stage maps: there is no split 'x'" in logs[0]
    assert logs[1] == ''


@pytest.mark.parametrize(('size', 'batch', 'group'), [(2, 4, 2), (3, 2, 2), (2, 1, 1)])
def test_training_on_several_processes(tmp_path, work, monkeypatch, size, batch, group):
    """The real thing: parents and children each meet in a group of their own.

    Not all of them have a share of a batch that does not divide.
    """
    monkeypatch.chdir(tmp_path)
    make_emblems('emblems', EmblemsSettings(num_train=8, num_val=1, size=32))
    options = {'train_cfg.max_iters': 2, 'default_hooks.logger.interval': 1}
    train = dict(type='Train', config='configs/cam/cam_r38-tiny_emblems.py')
    content = dict(
        data_root='emblems',
        classes=dict(data_root='emblems'),
        splits=dict(train=dict(split='train', images='emblems/JPEGImages')),
        stages=dict(cam={**train, 'options': {**options, 'train_dataloader.batch_size': batch}}),
    )
    config = save_text(tmp_path / 'one.py', Config(content).pretty_text)
    tool = load_file('tools/run_pipeline.py')
    ends, logs = parents(tool, str(config), work, tmp_path, size=size)
    log = (work / 'cam/cam.log').read_text()
    assert ends == [0] * size, (logs, log[-2000:])
    assert Config.fromfile(work / 'cam/cam.py').train_dataloader.batch_size == batch // group
    assert f'GPU number: {group}\n' in log
    others = [f'cam.rank{rank}.log' for rank in range(1, group)]
    assert [path.name for path in (work / 'cam').glob('cam.rank*')] == others
    assert 'Iter(train) [2/2]' in log
    assert (work / 'cam/iter_2.pth').exists()


@pytest.mark.parametrize(
    ('rank', 'count', 'group'),
    [
        (2, None, World(2, 8, 2, 4, 0, 2)),
        (2, 16, World(2, 8, 2, 4, 0, 2)),
        (2, 3, World(2, 3, 2, 3, 0, 2)),
        (3, 3, None),
        (2, 5, World(2, 5, 2, 4, 0, 2)),
        (4, 5, World(4, 5, 0, 1, 1, 2)),
    ],
)
def test_group_of_the_first_processes(rank, count, group):
    world = World(rank, 8, rank % 4, 4, rank // 4, 2)
    assert world.first(count) == group


def test_processes_of_slurm(monkeypatch):
    slurm = dict(
        SLURM_NTASKS='8',
        SLURM_PROCID='5',
        SLURM_LOCALID='1',
        SLURM_NNODES='2',
        SLURM_NODEID='1',
        SLURM_TASKS_PER_NODE='4(x2)',
        SLURM_STEP_NODELIST='node7',
        SLURM_JOB_ID='123456',
    )
    for key in ('MASTER_ADDR', 'MASTER_PORT', 'RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.delenv(key, raising=False)
    for key, value in slurm.items():
        monkeypatch.setenv(key, value)
    calls = []
    monkeypatch.setattr('torch.distributed.is_initialized', lambda: False)
    monkeypatch.setattr(
        'torch.distributed.init_process_group', lambda *args, **kwargs: calls.append(args)
    )
    # what join_world sets goes with the test
    monkeypatch.setattr(os, 'environ', dict(os.environ))
    world = join_world('slurm')
    assert world == World(rank=5, size=8, local_rank=1, local_size=4, node=1, nodes=2)
    assert calls == [('gloo',)]
    assert (os.environ['MASTER_ADDR'], os.environ['MASTER_PORT']) == ('node7', '23456')


# tools of the package that fail


@pytest.fixture
def own(toys, work, tmp_path):
    """Return a run of maps of toys and a tool of the package, and the file of a map."""
    root = tmp_path / 'toys'
    shutil.copytree(toys, root)
    (root / 'tools/make_pseudo_masks.py').symlink_to(ROOT / 'tools/make_pseudo_masks.py')
    cfg = toy_config(root, split=dict(masks=str(tmp_path / 'absent')))
    cfg.stages = dict(
        maps=dict(type='ToyMaps'),
        own=dict(type='MakePseudoMasks', cams='maps', splits=['val'], bg_score=0.5),
    )

    def own(**limits):
        run_pipeline(make_pipeline(root, work, cfg), **limits)

    own(last='maps')
    return own, work / 'maps/val/b.npz'


def test_truncated_maps(own, work):
    run, path = own
    path.write_bytes(path.read_bytes()[:100])
    message = (
        r'stage own failed: .*val/b\.npz is damaged or no CAM file .*: delete it and run tools'
    )
    with pytest.raises(UsageError, match=message):
        run()
    assert (work / 'own/val/a.png').exists()
    path.unlink()
    run()
    assert len(list((work / 'own/val').iterdir())) == 4


def test_maps_of_another_data_set(own):
    run, path = own
    write_cam_file(path, np.array([5]), np.zeros((1, 8, 8)))
    message = r'stage own failed: .*b\.npz: keys \[5\] must lie in 0 to 0, for the 1 foreground'
    with pytest.raises(UsageError, match=message):
        run()
