"""Converters of MiT and AFA: names, merged weights, what is written, what is refused."""

import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_checkpoint
from mmseg.models import MixVisionTransformer
from mmseg.registry import MODELS

from mmwsss.engine.launch import run_tool
from mmwsss.models.converters.foreign_weights import Converted
from mmwsss.models.converters.mit import (
    AFA,
    MIT,
    afa_shapes,
    merge_mit_weights,
    mit_settings,
    mit_shapes,
)
from tests.loading import load_file, run_main

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
SPECS = {
    name: json.loads((ROOT / f'tests/data/reference/afa/wetr_mit_{name}.spec.json').read_text())
    for name in ('b0', 'b1')
}
PREFIX = 'encoder.'


def run(name, *argv):
    run_main(f'tools/model_converters/{name}.py', *argv)


def published_afa(classes=20):
    """Weights of the published AFA on MiT-B0, of the true shapes but with one number each."""
    generator = torch.Generator().manual_seed(0)
    counts = {21: classes + 1, 20: classes}
    return {
        # expanded: one number in memory, and a save that keeps it small
        name: torch.rand((), generator=generator).expand([counts.get(n, n) for n in shape])
        for name, shape in SPECS['b0'].items()
        if not name.endswith('num_batches_tracked')
    }


def mit_of(weights):
    """Return the encoder's weights as NVIDIA publishes them, with an ImageNet classifier."""
    encoder = {k.removeprefix(PREFIX): v for k, v in weights.items() if k.startswith(PREFIX)}
    return encoder | {'head.weight': torch.ones(1000, 2), 'head.bias': torch.ones(1000)}


# names


@pytest.mark.parametrize('name', ['b0', 'b1'])
def test_published_names_are_exactly_those_of_the_network(name):
    weights = {k: torch.empty(shape, device='meta') for k, shape in SPECS[name].items()}
    merged = merge_mit_weights(weights)
    encoder = {k.removeprefix('backbone.'): v for k, v in AFA.renamed(merged).items()}
    settings = mit_settings(encoder)
    width = dict(b0=32, b1=64)[name]
    assert settings == dict(embed_dims=width, num_layers=[2] * 4, num_heads=[1, 2, 5, 8])
    renamed = {AFA(k): v.shape for k, v in merged.items()}
    assert len(renamed) == len(merged)
    assert renamed == afa_shapes(settings)


def test_names_are_exactly_those_of_the_public_model():
    config = Config.fromfile(ROOT / 'configs/_base_/models/afa_mit-b1.py').model
    init_default_scope('mmseg')
    network = MODELS.build(config)
    found = {name: value.shape for name, value in network.state_dict().items()}
    settings = {k: config.backbone[k] for k in ('embed_dims', 'num_layers', 'num_heads')}
    assert found == afa_shapes(settings)


@pytest.mark.parametrize(
    ('published', 'ours'),
    [
        ('encoder.patch_embed2.proj.bias', 'backbone.layers.1.0.projection.bias'),
        ('encoder.patch_embed4.norm.weight', 'backbone.layers.3.0.norm.weight'),
        ('encoder.block1.0.attn.qkv.weight', 'backbone.layers.0.1.0.attn.attn.in_proj_weight'),
        ('encoder.block1.0.attn.qkv.bias', 'backbone.layers.0.1.0.attn.attn.in_proj_bias'),
        ('encoder.block3.11.attn.proj.bias', 'backbone.layers.2.1.11.attn.attn.out_proj.bias'),
        ('encoder.block2.1.attn.norm.bias', 'backbone.layers.1.1.1.attn.norm.bias'),
        ('encoder.block2.1.mlp.dwconv.dwconv.bias', 'backbone.layers.1.1.1.ffn.layers.1.bias'),
        ('encoder.norm3.weight', 'backbone.layers.2.2.weight'),
        ('decoder.linear_c4.proj.weight', 'decode_head.convs.3.conv.weight'),
        ('decoder.linear_fuse.bn.running_var', 'decode_head.fusion_conv.bn.running_var'),
        ('decoder.linear_pred.bias', 'decode_head.conv_seg.bias'),
        ('attn_proj.bias', 'affinity_head.conv.bias'),
        ('classifier.weight', 'cam_head.conv_cam.weight'),
    ],
)
def test_a_published_name_gets_the_place_of_its_layer(published, ours):
    assert AFA(published) == ours


@pytest.mark.parametrize(
    'name',
    ['head.weight', 'pos_embed', 'block5.0.norm1.bias', 'block1.0.attn.q.bias', 'norm5.bias'],
)
def test_foreign_names_have_no_place_in_the_network(name):
    settings = dict(embed_dims=8, num_layers=[1] * 4, num_heads=[1, 2, 5, 8])
    assert MIT(name) not in mit_shapes(settings)
    assert AFA(name) not in afa_shapes(settings)


def test_classifier_alone_is_ignored():
    names = ['head.weight', 'head.bias', 'norm4.weight', 'decode_head.bias']
    assert MIT.used(names) == names[2:]


def test_merged_weights():
    q, kv, scales = torch.rand(4, 4), torch.rand(8, 4), torch.rand(3, 8, 1, 1)
    merged = merge_mit_weights(
        {
            'block1.0.attn.kv.weight': kv,
            'block1.0.attn.q.weight': q,
            'block1.0.attn.proj.weight': q,
            'block1.0.mlp.fc1.weight': kv,
            'block1.0.mlp.fc1.bias': kv[0],
            'decoder.linear_c1.proj.weight': q,
            'decoder.linear_fuse.conv.weight': scales,
        }
    )
    assert torch.equal(merged.pop('block1.0.attn.qkv.weight'), torch.cat([q, kv]))
    assert torch.equal(merged['block1.0.attn.proj.weight'], q)
    assert merged['block1.0.mlp.fc1.weight'].shape == (8, 4, 1, 1)
    assert merged['decoder.linear_c1.proj.weight'].shape == (4, 4, 1, 1)
    fused = merged['decoder.linear_fuse.conv.weight']
    assert torch.equal(fused[:, :2], scales[:, 6:])
    assert torch.equal(fused[:, 2:4], scales[:, 4:6])
    assert len(merged) == 5


@pytest.mark.parametrize('width', [16, 48])
@pytest.mark.parametrize('depths', [[1, 1, 1, 1], [3, 4, 6, 3]])
def test_settings_are_read_off_the_weights_of_either_project(width, depths):
    settings = dict(embed_dims=width, num_layers=depths, num_heads=[1, 2, 5, 8])
    weights = {
        name: torch.empty(shape, device='meta') for name, shape in mit_shapes(settings).items()
    }
    assert mit_settings(weights) == settings


# the tools


def network_of(weights):
    settings = mit_settings(MIT.renamed(weights))
    return MODELS.build(dict(settings, type='AttentionMiT', strides=[4, 2, 2, 1]))


def test_mit_file_becomes_weights_of_both_backbones(tmp_path, capsys):
    weights = mit_of(published_afa())
    src, dst = tmp_path / 'mit_b1.pth', tmp_path / 'out/mit.pth'
    torch.save(weights, src)
    run('mit2mmwsss', src, dst)
    out = capsys.readouterr().out
    assert f'{dst}: MiT with embed_dims=32 and num_layers=[2, 2, 2, 2] written' in out
    network = network_of(weights)
    theirs = MixVisionTransformer(embed_dims=32, num_layers=[2] * 4, num_heads=[1, 2, 5, 8])
    for one in (network, theirs):
        one.init_cfg = dict(type='Pretrained', checkpoint=str(dst))
        one.init_weights()
        layer = one.layers[3][1][0].attn.attn
        assert torch.equal(layer.in_proj_weight[:256], weights['block4.0.attn.q.weight'])
        assert torch.equal(layer.in_proj_bias[256:], weights['block4.0.attn.kv.bias'])
        assert torch.equal(one.layers[0][0].norm.bias, weights['patch_embed1.norm.bias'])
    load_checkpoint(network, str(dst), strict=True)


def test_mmsegmentations_mit_file_stays_as_it_is(tmp_path):
    theirs = MixVisionTransformer(embed_dims=8, num_layers=[1, 2, 1, 1], num_heads=[1, 2, 5, 8])
    src, dst = tmp_path / 'mit_mmseg.pth', tmp_path / 'mit.pth'
    torch.save({'state_dict': theirs.state_dict()}, src)
    run('mit2mmwsss', src, dst)
    written = torch.load(dst, weights_only=True)
    assert written['meta']['converted_from'] == 'mit_mmseg.pth'
    assert written['state_dict'].keys() == theirs.state_dict().keys()
    assert all(torch.equal(v, theirs.state_dict()[k]) for k, v in written['state_dict'].items())


@pytest.mark.parametrize(
    ('classes', 'config', 'name'),
    [
        (20, 'afa_mit-b1_voc', 'aeroplane'),
        (80, 'afa_mit-b1_coco', 'person'),
        (3, 'afa_mit-b1_voc', None),
    ],
)
def test_afa_tool_writes_what_the_network_loads(tmp_path, capsys, classes, config, name):
    weights = published_afa(classes=classes)
    src, dst = tmp_path / 'wetr.pth', tmp_path / 'afa.pth'
    torch.save({f'module.{key}': value for key, value in weights.items()}, src)
    run('afa2mmwsss', src, dst)
    out = capsys.readouterr().out
    assert f'AFA with {classes + 1} classes written; use it as tools/test.py configs/afa/' in out
    assert f'configs/afa/{config}.py {dst} --cfg-options model.backbone.embed_dims=32 ' in out
    assert 'model.backbone.num_layers=[2,2,2,2] model.cam_head.in_channels=256 ' in out
    assert 'model.decode_head.in_channels=[32,64,160,256].' in out
    meta = torch.load(dst, weights_only=True)['meta']
    assert meta['converted_from'] == 'wetr.pth'
    if name is None:
        assert 'dataset_meta' not in meta
    else:
        assert meta['dataset_meta']['classes'][1] == name
        assert len(meta['dataset_meta']['classes']) == classes + 1
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/afa_mit-b1.py').model
    cfg.backbone.update(embed_dims=32, init_cfg=None)
    cfg.cam_head.update(in_channels=256, num_classes=classes + 1)
    cfg.decode_head.update(in_channels=[32, 64, 160, 256], num_classes=classes + 1)
    network = MODELS.build(cfg)
    load_checkpoint(network, str(dst), strict=True)
    assert torch.equal(network.cam_head.conv_cam.weight, weights['classifier.weight'])


def test_afa_tool_says_nothing_of_options_for_the_network_of_the_config(
    tmp_path, capsys, monkeypatch
):
    tool = load_file('tools/model_converters/afa2mmwsss.py')
    converted = Converted({}, 21, tool.B1)
    monkeypatch.setattr(tool, 'convert_checkpoint', lambda args, read: converted)
    run_tool(tool.make_parser(), tool.main, ['a.pth', 'b.pth'])
    assert capsys.readouterr().out.endswith('configs/afa/afa_mit-b1_voc.py b.pth.\n')


def without(name, weights):
    return {key: value for key, value in weights.items() if key != name}


@pytest.mark.parametrize(
    ('tool', 'change', 'message'),
    [
        ('afa2mmwsss', mit_of, "the entry 'patch_embed1.proj.weight' has no place"),
        ('mit2mmwsss', lambda w: w, 'has no place in the network'),
        (
            'mit2mmwsss',
            lambda w: without('block2.0.attn.kv.bias', mit_of(w)),
            "the entry 'block2.0.attn.q.bias' has no place",
        ),
        (
            'mit2mmwsss',
            lambda w: mit_of(w) | {'block2.0.attn.kv.weight': torch.ones(64, 5)},
            "the entry 'block2.0.attn.q.weight' has no place",
        ),
        (
            'afa2mmwsss',
            lambda w: w | {'decoder.linear_c2.proj.weight': torch.ones(256, 31)},
            r"'decoder.linear_c2.proj.weight' has the shape \(256, 31, 1, 1\) where \(256, 64",
        ),
        (
            'afa2mmwsss',
            lambda w: w | {'decoder.linear_fuse.conv.weight': torch.ones(())},
            "'decoder.linear_fuse.conv.weight' has the shape",
        ),
        (
            'afa2mmwsss',
            lambda w: without('attn_proj.bias', w),
            "1 of .* entries are missing, the first is what becomes 'affinity_head.conv.bias'",
        ),
        ('mit2mmwsss', lambda w: {'head.weight': torch.ones(2)}, 'entries are missing'),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, capsys, tool, change, message):
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(change(published_afa()), src)
    with pytest.raises(SystemExit, match='2'):
        run(tool, src, dst)
    error = capsys.readouterr().err
    assert str(src) in error
    assert error.count('\n') == 1
    assert re.search(message, error)
    assert not dst.exists()
