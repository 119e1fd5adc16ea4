"""Converters of AffinityNet's and IRN's published checkpoints: names, refused files, results."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmwsss.models.converters.convolutional import AFFINITYNET, IRN, affinitynet_shapes, irn_shapes
from tests.loading import run_main

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference'
SPECS = {
    'affinitynet': 'seam/affinitynet_resnet38.spec.json',
    'irn': 'semformer/affinitynet_resnet50.spec.json',
}
CONFIGS = {
    'affinitynet': 'configs/affinitynet/affinitynet_r38_voc.py',
    'irn': 'configs/irn/irn_r50_voc.py',
}
RENAMES = {'affinitynet': AFFINITYNET, 'irn': IRN}
SHAPES = {'affinitynet': affinitynet_shapes, 'irn': irn_shapes}


def published_shapes(kind):
    return json.loads((REFERENCE / SPECS[kind]).read_text())


def run(kind, *argv):
    run_main(f'tools/model_converters/{kind}2mmwsss.py', *argv)


@pytest.mark.parametrize('kind', SPECS)
def test_published_names_are_exactly_those_of_the_config(kind):
    config = Config.fromfile(ROOT / CONFIGS[kind], import_custom_modules=False)
    init_default_scope('mmseg')
    with torch.device('meta'):
        network = MODELS.build(config.model)
    found = {name: value.shape for name, value in network.state_dict().items()}
    published = published_shapes(kind)
    renamed = {RENAMES[kind](name): torch.Size(shape) for name, shape in published.items()}
    assert len(renamed) == len(published)
    assert renamed == found == SHAPES[kind]()


@pytest.mark.parametrize(
    ('kind', 'published', 'ours'),
    [
        ('affinitynet', 'f8_5.weight', 'embeds.2.weight'),
        ('affinitynet', 'b4_3.bn_branch2a.weight', 'backbone.stages.2.3.norm1.weight'),
        ('irn', 'stage1.1.running_mean', 'backbone.bn1.running_mean'),
        ('irn', 'stage2.0.0.downsample.1.bias', 'backbone.layer1.0.downsample.1.bias'),
        ('irn', 'stage5.0.2.conv3.weight', 'backbone.layer4.2.conv3.weight'),
        ('irn', 'fc_edge1.0.weight', 'embeds.0.0.weight'),
        ('irn', 'fc_edge6.bias', 'project.bias'),
    ],
)
def test_a_published_name_gets_the_place_of_its_layer(kind, published, ours):
    assert RENAMES[kind](published) == ours


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        ('affinitynet', 'fc8.weight'),
        ('irn', 'fc_edge7.weight'),
        ('irn', 'fc_dp1.0.weight'),
        ('irn', 'stage6.0.0.conv1.weight'),
        ('irn', 'layer1.0.conv1.weight'),
    ],
)
def test_foreign_names_have_no_place_in_the_network(kind, name):
    assert RENAMES[kind](name) not in SHAPES[kind]()


def test_copies_in_published_files_are_told():
    copies = ['backbone.0.0.weight', 'edge_layers.5.bias', 'path_indices_12']
    names = list(published_shapes('irn'))
    assert IRN.used([*copies, *names]) == names


def numbers(shapes):
    """Return weights of the true shapes with one number each, small in memory and on disk."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.zeros((), dtype=torch.int64)
        if name.endswith('num_batches_tracked')
        else torch.rand((), generator=generator).expand(shape)
        for name, shape in shapes.items()
    }


def test_irn_tool_writes_what_the_network_loads(tmp_path, capsys):
    """From a file as it is published: names with a prefix, everything twice, tables of paths."""
    weights = numbers(published_shapes('irn'))
    copies = {f'backbone.{i}.{j}.weight': torch.ones(1) for i in range(5) for j in range(2)}
    copies |= {'edge_layers.0.0.weight': torch.ones(1), 'path_indices_0': torch.ones(2, 3, 4)}
    src, dst = tmp_path / 'published.pth', tmp_path / 'irn.pth'
    torch.save({f'module.{name}': value for name, value in (weights | copies).items()}, src)
    run('irn', src, dst)
    assert capsys.readouterr().out.startswith(f'{dst}: boundary branch of IRN, 335 entries')
    checkpoint = torch.load(dst, weights_only=True)
    assert checkpoint['meta']['converted_from'] == 'published.pth'
    assert checkpoint['meta']['dataset_meta']['classes'][1] == 'aeroplane'
    state_dict = checkpoint['state_dict']
    assert set(state_dict) == set(irn_shapes())
    for name, value in weights.items():
        assert torch.equal(state_dict[IRN(name)], value), name


@pytest.fixture
def narrow(monkeypatch):
    """Let the tool expect a network of 1/16 width; returns its published weights."""
    cfg = dict(type='ResNet38d', width=1 / 16, depths=(3, 3, 6, 3, 1, 1))
    thin = MODELS.build(
        dict(type='AffinityNet', backbone=cfg, in_channels=(32, 64, 256), embed_channels=(2, 4, 8))
    )
    module = 'mmwsss.models.converters.convolutional'
    monkeypatch.setattr(f'{module}.AffinityNet', lambda backbone: thin)
    shapes = {name: value.shape for name, value in thin.state_dict().items()}
    names = published_shapes('affinitynet')
    return numbers({name: shapes[AFFINITYNET(name)] for name in names})


def test_affinitynet_tool_writes_what_the_network_loads(tmp_path, capsys, narrow):
    src, dst = tmp_path / 'published.pth', tmp_path / 'affinitynet.pth'
    torch.save(narrow, src)
    run('affinitynet', src, dst)
    expected = f'{dst}: AffinityNet, 232 entries written; use it with {CONFIGS["affinitynet"]}.\n'
    assert capsys.readouterr().out == expected
    state_dict = torch.load(dst, weights_only=True)['state_dict']
    for name, value in narrow.items():
        assert torch.equal(state_dict[AFFINITYNET(name)], value), name


@pytest.mark.parametrize('kind', SPECS)
@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        ({'fc8.weight': torch.ones(20, 8, 1, 1)}, r"the entry 'fc8.weight' has no place"),
        ({'bn7.bias': torch.ones(4096), 'stage1.1.bias': torch.ones(64)}, 'has no place'),
        (None, 'damaged or not a checkpoint'),
    ],
)
def test_foreign_files_are_refused(tmp_path, capsys, kind, weights, message):
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    if weights is None:
        src.write_bytes(b'<html>404</html>')
    else:
        torch.save(weights, src)
    with pytest.raises(SystemExit, match='2'):
        run(kind, src, dst)
    error = capsys.readouterr().err
    assert str(src) in error
    assert message in error
    assert error.count('\n') == 1
    assert not dst.exists()


def test_backbone_alone_is_refused(tmp_path, capsys):
    weights = numbers(published_shapes('irn'))
    src = tmp_path / 'a.pth'
    torch.save({k: v for k, v in weights.items() if not k.startswith('fc_edge')}, src)
    with pytest.raises(SystemExit, match='2'):
        run('irn', src, tmp_path / 'b.pth')
    assert (
        "17 of 335 entries are missing, the first is what becomes 'embeds"
        in capsys.readouterr().err
    )
