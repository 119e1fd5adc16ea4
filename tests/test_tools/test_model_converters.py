"""Model converters: names, the MXNet reader, refused files, what is written."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_checkpoint
from mmseg.registry import MODELS

from mmwsss.models import ResNet38d
from mmwsss.models.converters.convolutional import RESNET38, resnet38d_shapes, seam_shapes
from mmwsss.models.converters.convolutional import SEAM as SEAM_NAMES
from mmwsss.models.converters.foreign_weights import (
    ConversionError,
    convert_weights,
    read_torch_weights,
    save_weights,
)
from mmwsss.utils.mxnet_params import MXNetFileError, read_mxnet_params
from tests.loading import run_main

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference'
NAMES = json.loads((REFERENCE / 'seam/mxnet_names.json').read_text())
BACKBONE = json.loads((REFERENCE / 'seam/resnet38d.spec.json').read_text())
SEAM = json.loads((REFERENCE / 'seam/seam_resnet38.spec.json').read_text())
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
FLAGS = {'float32': 0, 'float64': 1, 'float16': 2, 'uint8': 3, 'int32': 4, 'int8': 5, 'int64': 6}


def run(name, *argv):
    run_main(f'tools/model_converters/{name}.py', *argv)


def mxnet_array(array, version):
    """Serialise an array as MXNet's versions did."""
    ndim, flag = array.ndim, FLAGS[array.dtype.name]
    head = {
        'legacy': struct.pack(f'<I{ndim}I', ndim, *array.shape),
        'v1': struct.pack(f'<Ii{ndim}q', V1, ndim, *array.shape),
        'v2': struct.pack(f'<Iii{ndim}q', V2, 0, ndim, *array.shape),
        'v3': struct.pack(f'<Iii{ndim}q', V3, 0, ndim, *array.shape),
    }[version]
    return head + struct.pack('<3i', 1, 0, flag) + array.tobytes()


def mxnet_file(arrays, version='v2'):
    """Serialise named arrays as MXNet's ``nd.save`` does."""
    content = struct.pack('<3Q', 0x112, 0, len(arrays))
    content += b''.join(mxnet_array(array, version) for array in arrays.values())
    content += struct.pack('<Q', len(arrays))
    for name in arrays:
        content += struct.pack('<Q', len(name)) + name.encode()
    return content


@pytest.fixture(scope='module')
def synthetic():
    """Weights under published names, of the true shapes but with one number each."""
    generator = torch.Generator().manual_seed(0)
    return {
        # expanded: one number in memory, and a save that keeps it small
        name: torch.zeros((), dtype=torch.int64)
        if name.endswith('num_batches_tracked')
        else torch.rand((), generator=generator).expand(shape)
        for name, shape in SEAM.items()
    }


@pytest.fixture
def narrow(monkeypatch):
    """Let both tools expect networks of 1/16 width; returns their published shapes."""
    thin = ResNet38d(width=1 / 16)
    shapes = {name: value.shape for name, value in thin.state_dict().items()}
    published = {name: shapes[RESNET38(name)] for name in BACKBONE}
    monkeypatch.setattr('mmwsss.models.converters.convolutional.ResNet38d', lambda: thin)
    return published


def narrow_weights(shapes):
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(shape, generator=generator)
        for name, shape in shapes.items()
        if not name.endswith('num_batches_tracked')
    }


def narrow_mxnet(shapes):
    weights = narrow_weights(shapes)
    arrays = {name: weights[torch_name].numpy() for name, torch_name in NAMES['names'].items()}
    arrays['arg:linear1000_weight'] = np.zeros((1000, 4), np.float32)
    arrays['arg:linear1000_bias'] = np.zeros(1000, np.float32)
    return weights, arrays


# names


def test_mxnet_names_are_those_of_the_published_rule():
    for name, published in NAMES['names'].items():
        assert RESNET38(name) == RESNET38(published)
        assert RESNET38(name) in resnet38d_shapes()


def test_mxnet_classifier_alone_is_ignored():
    names = [*NAMES['names'], *NAMES['ignored']]
    assert set(names) - set(RESNET38.used(names)) == set(NAMES['ignored'])


@pytest.mark.parametrize(
    'name',
    [
        *('arg:bn8a_branch2a_gamma', 'arg:bn2a_branch2a_delta', 'fc1_weight', 'bn2a_gamma'),
        *('fc8.weight', 'b4_0.bn_branch2a.weight', 'b4.bn_branch1.weight'),
    ],
)
def test_foreign_names_have_no_place_in_the_network(name):
    assert RESNET38(name) not in resnet38d_shapes()


@pytest.mark.stack
@pytest.mark.parametrize(
    ('published', 'rename', 'ours'),
    [
        (BACKBONE, RESNET38, resnet38d_shapes),
        (SEAM, SEAM_NAMES, seam_shapes),
    ],
)
def test_published_names_are_exactly_those_of_the_network(published, rename, ours):
    renamed = {rename(name): tuple(shape) for name, shape in published.items()}
    assert len(renamed) == len(published)
    assert renamed == {name: tuple(shape) for name, shape in ours().items()}


@pytest.mark.parametrize(
    ('published', 'ours'),
    [
        ('conv1a.weight', 'conv1.weight'),
        ('b4_3.bn_branch2a.weight', 'stages.2.3.norm1.weight'),
        ('b6.conv_branch2b1.weight', 'stages.4.0.conv2.weight'),
        ('b7.bn_branch2b2.running_var', 'stages.5.0.norm3.running_var'),
        ('b2.conv_branch1.weight', 'stages.0.0.shortcut.weight'),
        ('bn7.bias', 'norm.bias'),
    ],
)
def test_a_published_name_gets_the_place_of_its_layer(published, ours):
    assert RESNET38(published) == ours


# the MXNet reader


@pytest.mark.parametrize('version', ['legacy', 'v1', 'v2', 'v3'])
def test_every_version_of_the_mxnet_format_is_read(tmp_path, version):
    arrays = {
        'arg:a': np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
        'aux:b': np.array([1.5, -2], np.float64),
        'aux:c': np.array([[7], [-8], [9]], np.int8),
        'd': np.array([0.5], np.float16),
    }
    path = tmp_path / 'a.params'
    path.write_bytes(mxnet_file(arrays, version))
    found = read_mxnet_params(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_number_of_version_3_has_no_dimension(tmp_path):
    path = tmp_path / 'a.params'
    path.write_bytes(mxnet_file({'a': np.array(3, np.int32)}, 'v3'))
    assert read_mxnet_params(path)['a'] == 3


def test_mxnet_file_cut_anywhere_is_refused(tmp_path):
    content = mxnet_file({'arg:a': np.ones((2, 3), np.float32), 'b': np.ones(1, np.int64)})
    path = tmp_path / 'a.params'
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(MXNetFileError, match=r'a\.params.*truncated|a\.params.*claims to hold'):
            read_mxnet_params(path)


def edited(offset, code, value, arrays=None):
    content = bytearray(mxnet_file(arrays or {'a': np.ones((2, 3), np.float32)}))
    struct.pack_into(f'<{code}', content, offset, value)
    return bytes(content)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'<!DOCTYPE html><html><body>Not found</body>', 'starts with 0x'),
        (edited(0, 'Q', 0x113), 'starts with 0x113, but must start with 0x112'),
        (edited(16, 'Q', 2**40), 'claims to hold 1099511627776 arrays in'),
        (edited(24, 'I', 77), 'array 1 of 1 has 77 dimensions'),
        (edited(28, 'i', 1), 'storage type 1, but only dense'),
        (edited(32, 'i', -1), 'array 1 of 1 has -1 dimensions'),
        (edited(36, 'q', 2**50), 'needs 13510798882111488 bytes'),
        (edited(36, 'q', -2), r'has shape \(-2, 3\)'),
        (edited(60, 'i', 12), 'unknown data type 12'),
        (edited(88, 'Q', 3), 'has 3 names for 1 arrays'),
        (edited(96, 'Q', 2**63), 'name 1 of 1 needs 9223372036854775808 bytes'),
        (edited(104, 'B', 255), 'name 1 of 1 is not text'),
        (edited(0, 'Q', 0x112) + b'more', 'has 4 extra bytes after its names'),
    ],
)
def test_foreign_or_damaged_mxnet_file_is_refused(tmp_path, content, message):
    path = tmp_path / 'a.params'
    path.write_bytes(content)
    with pytest.raises(MXNetFileError, match=message):
        read_mxnet_params(path)


def test_mxnet_file_with_a_name_twice_is_refused(tmp_path):
    path = tmp_path / 'a.params'
    ones = np.ones(3, np.float32)
    path.write_bytes(mxnet_file({'a': ones, 'b': ones})[:-1] + b'a')
    with pytest.raises(MXNetFileError, match="the name 'a' twice"):
        read_mxnet_params(path)


def test_missing_mxnet_file_is_named(tmp_path):
    with pytest.raises(MXNetFileError, match=r'absent\.params: cannot be read \(No such file'):
        read_mxnet_params(tmp_path / 'absent.params')


# foreign PyTorch files


@pytest.mark.parametrize(
    'wrap',
    [
        lambda weights: weights,
        lambda weights: {'state_dict': weights, 'epoch': 3},
        lambda weights: {'model': {f'module.{name}': value for name, value in weights.items()}},
        lambda weights: {f'module.module.{name}': value for name, value in weights.items()},
    ],
)
@pytest.mark.stack
def test_wrappers_and_prefixes_are_taken_away(tmp_path, wrap):
    weights = {'conv1a.weight': torch.ones(2), 'bn7.bias': torch.zeros(3)}
    torch.save(wrap(weights), tmp_path / 'a.pth')
    found = read_torch_weights(tmp_path / 'a.pth')
    assert list(found) == list(weights)
    assert torch.equal(found['conv1a.weight'], torch.ones(2))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([torch.ones(2)], 'holds a list where named tensors'),
        ({}, 'holds a dict where named tensors'),
        ({'epoch': 3, 'a.weight': torch.ones(2)}, "the entry 'epoch' is a int"),
    ],
)
def test_file_without_named_tensors_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ConversionError, match=message):
        read_torch_weights(tmp_path / 'a.pth')


def without(name, weights):
    return {key: value for key, value in weights.items() if key != name}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: w | {'fc.bias': torch.ones(1)}, r"a\.pth: the entry 'fc\.bias' has no place"),
        (lambda w: w | {'bn7.bias': torch.ones(2)}, r"'bn7\.bias' has the shape \(2,\) where \(40"),
        (
            lambda w: without('b5_1.conv_branch2a.weight', w),
            r"1 of 232 entries are missing, the first is what becomes 'backbone\.stages\.3\.1\.con",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(synthetic, change, message):
    with pytest.raises(ConversionError, match=message):
        convert_weights(change(synthetic), SEAM_NAMES, seam_shapes(), 'a.pth')


def test_counters_that_old_files_lack_are_filled_in():
    expected = {'norm.num_batches_tracked': torch.Size([]), 'norm.bias': torch.Size([2])}
    weights = {'bn7.bias': torch.ones(2, dtype=torch.float16)}
    found = convert_weights(weights, RESNET38, expected, 'a.pth')
    assert list(found) == list(expected)
    assert found['norm.num_batches_tracked'].dtype == torch.int64
    assert found['norm.bias'].dtype == torch.float32


def test_failed_save_leaves_what_was_there(tmp_path):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'before')
    with pytest.raises(AttributeError, match='lambda'):
        save_weights({'a': torch.ones(1)}, path, source='b.pth', meta={'bad': lambda: 0})
    assert [file.name for file in tmp_path.iterdir()] == ['a.pth']
    assert path.read_bytes() == b'before'


def test_source_is_not_overwritten(tmp_path):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'before')
    with pytest.raises(ConversionError, match='is the file to convert'):
        save_weights({'a': torch.ones(1)}, path, source=path)


# the tools


@pytest.mark.stack
def test_mxnet_file_becomes_weights_of_the_backbone(tmp_path, narrow, capsys):
    weights, arrays = narrow_mxnet(narrow)
    src, dst = tmp_path / 'ilsvrc.params', tmp_path / 'out/r38.pth'
    src.write_bytes(mxnet_file(arrays, 'v1'))
    run('resnet38_mxnet2mmwsss', src, dst)
    assert capsys.readouterr().out.startswith(f'{dst}: 228 entries written; use it as backbone')
    network = ResNet38d(width=1 / 16)
    network.init_cfg = dict(type='Pretrained', checkpoint=str(dst))
    network.init_weights()
    state_dict = network.state_dict()
    for name, value in weights.items():
        assert torch.equal(state_dict[RESNET38(name)], value), name


def test_torch_copy_of_the_mxnet_file_is_recognised(tmp_path, narrow):
    weights = narrow_weights(narrow)
    src, dst = tmp_path / 'ilsvrc.pth', tmp_path / 'r38.pth'
    torch.save(weights | {'linear1000.weight': torch.ones(2)}, src)
    run('resnet38_mxnet2mmwsss', src, dst)
    network = ResNet38d(width=1 / 16)
    load_checkpoint(network, str(dst), strict=True)
    assert torch.equal(network.norm.bias, weights['bn7.bias'])


def test_mxnet_file_of_another_network_is_refused(tmp_path, capsys):
    src, dst = tmp_path / 'resnet-50.params', tmp_path / 'r38.pth'
    src.write_bytes(mxnet_file({'arg:stage1_unit1_bn1_gamma': np.ones(3, np.float32)}))
    with pytest.raises(SystemExit, match='2'):
        run('resnet38_mxnet2mmwsss', src, dst)
    error = capsys.readouterr().err
    assert f"{src}: the entry 'arg:stage1_unit1_bn1_gamma' has no place in the network" in error
    assert not dst.exists()


@pytest.mark.parametrize('name', ['resnet38_mxnet2mmwsss', 'seam2mmwsss'])
@pytest.mark.parametrize(
    ('content', 'message'),
    [(b'<html>404</html>', 'damaged or not a checkpoint'), (None, 'There is no checkpoint')],
)
def test_tools_refuse_what_is_no_file_of_weights(tmp_path, capsys, name, content, message):
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    if content is not None:
        src.write_bytes(content)
    with pytest.raises(SystemExit, match='2'):
        run(name, src, dst)
    error = capsys.readouterr().err
    assert str(src) in error
    assert message in error
    assert error.count('\n') == 1
    assert not dst.exists()


def test_seam_tool_refuses_a_backbone(tmp_path, capsys, narrow):
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(narrow_weights(narrow), src)
    with pytest.raises(SystemExit, match='2'):
        run('seam2mmwsss', src, dst)
    assert (
        "missing, the first is what becomes 'cam_head.conv_cam.weight'" in capsys.readouterr().err
    )
    assert not dst.exists()


@pytest.mark.stack
def test_seam_tool_writes_what_the_network_loads(tmp_path, monkeypatch, capsys):
    published = {'module.fc8.weight': (21, 4, 1, 1), 'module.b2_1.bn_branch2a.weight': (4,)}
    weights = {name: torch.rand(shape) for name, shape in published.items()}
    src, dst = tmp_path / 'resnet38_SEAM.pth', tmp_path / 'seam.pth'
    torch.save({'state_dict': weights}, src)
    shapes = {
        'backbone.stages.0.1.norm1.weight': torch.Size([4]),
        'cam_head.conv_cam.weight': torch.Size([21, 4, 1, 1]),
    }
    module = 'mmwsss.models.converters.convolutional'
    monkeypatch.setattr(f'{module}.seam_shapes', lambda num_classes: shapes)
    run('seam2mmwsss', src, dst)
    assert f'tools/test.py configs/seam/seam_r38_voc.py {dst}' in capsys.readouterr().out
    checkpoint = torch.load(dst, weights_only=True)
    assert torch.equal(
        checkpoint['state_dict']['cam_head.conv_cam.weight'], weights['module.fc8.weight']
    )
    assert checkpoint['meta']['dataset_meta']['classes'][1] == 'aeroplane'
    assert checkpoint['meta']['converted_from'] == 'resnet38_SEAM.pth'


@pytest.mark.stack
def test_seam_names_are_exactly_those_of_the_config():
    config = Config.fromfile(ROOT / 'configs/seam/seam_r38_voc.py')
    init_default_scope('mmseg')
    with torch.device('meta'):
        network = MODELS.build(config.model)
    found = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    expected = {SEAM_NAMES(name): tuple(shape) for name, shape in SEAM.items()}
    assert found == expected
