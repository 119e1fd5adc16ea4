"""The check of the installed stack, and loading checkpoints without running their code."""

import importlib
import importlib.metadata
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub, history_buffer
from mmengine.runner import checkpoint
from mmengine.runner.checkpoint import load_checkpoint

from mmwsss import compat

pytestmark = pytest.mark.stack

GOOD = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmsegmentation': '1.4.2'}
OLD = {'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmsegmentation': '1.2.2'}


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.fixture
def installed(monkeypatch):
    """Return a function that pretends that just these distributions are installed."""

    def pretend(versions, broken=()):
        versions = {'torch': '2.13.0', **versions}
        parts = {part: name for s in compat.STACKS.values() for name, (part, _, _) in s.items()}
        importable = {parts.get(part, part) for part in versions} - set(broken)
        monkeypatch.setattr(compat, '_version', versions.get)
        monkeypatch.setattr(compat, '_has_files', importable.__contains__)

    return pretend


@pytest.mark.parametrize('versions', [GOOD, OLD])
def test_either_stack_passes(installed, versions):
    installed(versions)
    compat.check_stack()


@pytest.mark.parametrize(
    ('versions', 'problem'),
    [
        ({}, 'neither the OneDL nor the OpenMMLab packages are installed'),
        ({**GOOD, 'mmcv': '2.1.0'}, r'both stacks .*onedl-mmcv.*, mmcv\)'),
        (
            {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6'},
            'only half of the onedl stack is installed, onedl-mmsegmentation is missing',
        ),
        ({'mmengine': '0.10.7'}, 'half of the openmmlab stack .* mmcv, mmsegmentation is missing'),
        ({**OLD, 'mmcv': '2.2.0'}, 'mmcv 2.2.0 is installed, at least 2.1.0 and below 2.2.0'),
        ({**GOOD, 'onedl-mmcv': '2.2.9'}, 'onedl-mmcv 2.2.9 is installed, at least 2.3.6'),
        ({**GOOD, 'torch': '2.3.1+cu121'}, 'torch 2.3.1.cu121 is installed, at least 2.4'),
    ],
)
def test_wrong_stacks_are_named(installed, versions, problem):
    installed(versions)
    with pytest.raises(ImportError, match=f'mmwsss: .*{problem}') as error:
        compat.check_stack()
    assert "pip install 'mmwsss[onedl]'" in str(error.value)
    assert 'mmwsss[openmmlab]' in str(error.value)


def test_files_removed_by_another_uninstall_count_as_missing(installed):
    installed(GOOD, broken=['mmcv'])
    with pytest.raises(ImportError, match='half of the onedl stack .* onedl-mmcv is missing'):
        compat.check_stack()


def test_torch_missing(monkeypatch):
    monkeypatch.setattr(compat, '_version', lambda name: None)
    monkeypatch.setattr(compat, '_has_files', lambda name: False)
    with pytest.raises(ImportError, match='PyTorch is not installed, at least 2.4 is needed'):
        compat.check_stack()


def test_import_that_fails_gives_its_cause(monkeypatch):
    def fail(name):
        raise AssertionError('MMCV==9 is used but incompatible')

    monkeypatch.setattr(importlib, 'import_module', fail)
    with pytest.raises(ImportError, match=r'do not import \(MMCV==9 is used but incompatible\)'):
        compat.check_stack()


def test_torchvision_of_another_build_is_named(monkeypatch):
    def fail(name):
        raise RuntimeError('operator torchvision::nms does not exist')

    monkeypatch.setattr(importlib, 'import_module', fail)
    with pytest.raises(ImportError, match='install the torchvision that was built for this torch'):
        compat.check_stack()


def test_importing_the_package_gives_the_message(repo, tmp_path):
    code = f'import sys; sys.path.append({str(repo)!r}); import mmwsss'
    # -S leaves site-packages out: an environment with nothing installed
    command = [sys.executable, '-I', '-S', '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert re.search(r'ImportError: mmwsss: PyTorch is not installed.*mmwsss\[onedl\]', done.stderr)


def full_checkpoint(path):
    """Write what a Runner writes: weights, optimiser, message hub, meta."""
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    hub = MessageHub.get_instance('compat')
    hub.update_scalar('train/loss', 2.5)
    hub.update_scalar('train/loss', torch.tensor(3.5))
    hub.update_scalar('train/f4', np.float32(0.5))
    meta = dict(iter=3, seed=np.int64(7), time='now', numbers=np.array([1, 2], dtype='i4'))
    content = dict(
        meta=meta,
        state_dict=model.state_dict(),
        optimizer=optimizer.state_dict(),
        message_hub=hub.state_dict(),
    )
    torch.save(content, path)
    return model


def test_full_checkpoint_loads(tmp_path):
    path = tmp_path / 'a.pth'
    saved = full_checkpoint(path)
    fresh = torch.nn.Linear(2, 1)
    content = load_checkpoint(fresh, str(path), map_location='cpu')
    assert torch.equal(fresh.weight, saved.weight)
    assert content['message_hub']['log_scalars']['train/loss'].mean() == 3.0
    assert content['meta']['seed'] == 7
    assert content['meta']['numbers'].tolist() == [1, 2]


def replace_pickle(path, change):
    """Change the pickle inside a checkpoint as a foreign writer could."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, data in entries.items():
            archive.writestr(name, change(data) if name.endswith('data.pkl') else data)


@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
def test_files_of_either_numpy_load(tmp_path, core):
    path = tmp_path / 'a.pth'
    torch.save(dict(array=np.array([1.5, 2.5]), scalar=np.float32(0.5)), path)
    ours = np.ones(1).__reduce__()[0].__module__.encode()
    replace_pickle(path, lambda data: data.replace(b'c' + ours, f'c{core}.multiarray'.encode()))
    content = compat.load_strictly(path)
    assert content['array'].tolist() == [1.5, 2.5]
    assert content['scalar'] == 0.5


def payloads(mark):
    """Return objects whose pickles leave a mark when any of their code runs."""
    leave = f'open({str(mark)!r}, "w").close()'
    return {
        'os.system': Call(os.system, f'touch {mark}'),
        'eval': Call(eval, leave),
        'exec': Call(exec, leave),
        'bytes': Call(pickle.loads, pickle.dumps(Call(eval, leave))),
        'hidden in a list': [1, {'a': Call(os.system, f'touch {mark}')}],
        'getattr of the served class': Call(getattr, HistoryBuffer, '__init__'),
        'getattr with a default': Call(getattr, HistoryBuffer, 'mean', 'x'),
        'getattr of a module': Call(getattr, Call(importlib.import_module, 'os'), 'system'),
    }


def call(function, *args):
    """Return the opcodes of a call."""
    return function + b'(' + b''.join(args) + b'tR'


def text(word):
    """Return the opcodes of a text."""
    return b'X' + len(word).to_bytes(4, 'little') + word.encode()


GETATTR = b'c__builtin__\ngetattr\n'
INIT = call(GETATTR, b'cmmengine.logging.history_buffer\nHistoryBuffer\n', text('__init__'))
WORLD = call(GETATTR, INIT, text('__globals__'))


def getattr_chain(mark):
    """Return a pickle that walks from the class that is served to ``eval``."""
    builtins = call(call(GETATTR, WORLD, text('get')), text('__builtins__'))
    evaluate = call(call(GETATTR, builtins, text('get')), text('eval'))
    return b'\x80\x02' + call(evaluate, text(f'open({str(mark)!r}, "w").close()')) + b'.'


def refused(path):
    """Load a file into a model and expect one sentence and unchanged weights."""
    model = torch.nn.Linear(2, 1)
    before = model.weight.clone()
    with pytest.raises(
        compat.CheckpointError, match=r'bad\.pth was refused because it asks for .*; download'
    ) as error:
        load_checkpoint(model, str(path))
    assert '\n' not in str(error.value)
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('name', payloads(''))
def test_code_in_a_checkpoint_never_runs(tmp_path, name, zipped):
    path, mark = tmp_path / 'bad.pth', tmp_path / 'mark'
    content = dict(state_dict=dict(weight=torch.ones(1, 2)), meta=payloads(mark)[name])
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    refused(path)
    assert not mark.exists()


def test_getattr_chain_never_runs(tmp_path):
    path, mark = tmp_path / 'bad.pth', tmp_path / 'mark'
    torch.save({}, path)
    replace_pickle(path, lambda data: getattr_chain(mark))
    refused(path)
    assert not mark.exists()


def test_getattr_reaches_no_module(tmp_path):
    path = tmp_path / 'bad.pth'
    torch.save({}, path)
    replace_pickle(path, lambda data: b'\x80\x02' + WORLD + text('poisoned') + text('yes') + b's.')
    refused(path)
    assert not hasattr(history_buffer, 'poisoned')


def test_the_payloads_would_run(tmp_path):
    mark = tmp_path / 'mark'
    programs = {name: pickle.dumps(thing) for name, thing in payloads(mark).items()}
    programs['chain'] = getattr_chain(mark)
    for name in ('os.system', 'eval', 'exec', 'bytes', 'hidden in a list', 'chain'):
        pickle.loads(programs[name])
        assert mark.exists(), name
        mark.unlink()


@pytest.mark.parametrize(
    'write',
    [
        lambda path: path.write_bytes(b'<html>Not found</html>'),
        lambda path: path.write_bytes(b''),
        lambda path: path.write_bytes(path.read_bytes()[:700]),
        lambda path: path.write_bytes(pickle.dumps(Call(eval, '1/0'))),
        lambda path: path.write_bytes(b'\x80\x02csys\nexit\n.'),
    ],
    ids=['page', 'empty', 'cut', 'pickle', 'sys'],
)
def test_damaged_files_give_one_sentence(tmp_path, write):
    path = tmp_path / 'a.pth'
    full_checkpoint(path)
    write(path)
    with pytest.raises(compat.CheckpointError, match=r'a\.pth was refused because .*; download it'):
        load_checkpoint(torch.nn.Linear(2, 1), str(path))


def test_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r'There is no checkpoint nowhere\.pth'):
        load_checkpoint(torch.nn.Linear(2, 1), 'nowhere.pth')


def test_environment_cannot_switch_it_off(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    path, mark = tmp_path / 'bad.pth', tmp_path / 'mark'
    torch.save(payloads(mark)['eval'], path)
    with pytest.raises(compat.CheckpointError, match='asks for eval'):
        compat.load_strictly(path)
    assert not mark.exists()


def test_allow_list_is_gone_after_a_load(tmp_path):
    path = tmp_path / 'a.pth'
    full_checkpoint(path)
    before = set(torch.serialization.get_safe_globals())
    compat.load_strictly(path)
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Return a folder whose files every download gets, the last part of the address as name."""
    server = tmp_path / 'server'
    server.mkdir()
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))

    def download(url, target, **_):
        try:
            shutil.copy(server / Path(urlparse(url).path).name, target)
        except FileNotFoundError:
            raise OSError('404') from None

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    tables = dict(
        get_torchvision_models=lambda: {'net': 'https://a.b/net.pth'},
        get_external_models=lambda: {'new': 'https://a.b/net.pth', 'local': 'net.pth'},
        get_deprecated_model_names=lambda: {'old': 'new'},
        get_mmcls_models=lambda: {'net': 'https://a.b/net.pth'},
    )
    for name, table in tables.items():
        monkeypatch.setattr(checkpoint, name, table)
    (tmp_path / 'home').mkdir()
    return server


ADDRESSES = [
    'http://a.b/net.pth',
    'https://a.b/net.pth?x=1',
    'torchvision://net',
    'modelzoo://net',
    'open-mmlab://new',
    'openmmlab://old',
    'mmcls://net',
]


@pytest.mark.parametrize('address', ADDRESSES)
def test_downloads_are_read_strictly(served, tmp_path, address):
    mark = tmp_path / 'mark'
    torch.save(dict(state_dict={}, meta=payloads(mark)['eval']), served / 'net.pth')
    with pytest.raises(compat.CheckpointError, match=r'net\.pth was refused .* asks for eval'):
        checkpoint._load_checkpoint(address)
    assert not mark.exists()


@pytest.mark.parametrize('address', ADDRESSES)
def test_downloads_load(served, address):
    state = {'backbone.weight': torch.ones(1)}
    torch.save(dict(state_dict=state), served / 'net.pth')
    loaded = checkpoint._load_checkpoint(address)['state_dict']
    assert set(loaded) == ({'weight'} if address.startswith('mmcls') else set(state))


def test_local_file_of_the_table_is_read_strictly(served, tmp_path):
    torch.save(payloads('')['eval'], tmp_path / 'home/net.pth')
    with pytest.raises(compat.CheckpointError, match='asks for eval'):
        checkpoint._load_checkpoint('openmmlab://local')


@pytest.mark.parametrize('address', ['s3://a/b.pth', 'pavi://a', 'petrel://a', 'x:s3://a'])
def test_stores_that_unpickle_are_refused(address):
    with pytest.raises(compat.CheckpointError, match=r'cannot be read safely .*; download it'):
        checkpoint._load_checkpoint(address)


def test_failed_download_is_one_sentence(served):
    with pytest.raises(compat.CheckpointError, match=r'could not be downloaded \(404\); download'):
        checkpoint._load_checkpoint('https://a.b/none.pth')


def test_unknown_name_is_one_sentence(served):
    with pytest.raises(
        compat.CheckpointError, match="open-mmlab://none is not in MMEngine's table"
    ):
        checkpoint._load_checkpoint('open-mmlab://none')
