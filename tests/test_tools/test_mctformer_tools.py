"""MCTformer's converter: every entry in its place, what it says, and what it refuses."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS

from tests.loading import ROOT, load_file, run_main
from tests.mctformer_reference import TOOL, VERSIONS, published_weights

pytestmark = pytest.mark.stack


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize(('classes', 'data'), [(20, 'voc'), (80, 'coco'), (3, 'voc')])
def test_tool_writes_what_the_network_loads(tmp_path, capsys, version, classes, data):
    weights = published_weights(f'{version}_tiny')
    weights['cls_token'] = torch.randn(1, classes, 96)
    if version == 'plus':
        weights['pos_embed_cls'] = torch.randn(1, classes, 96)
    else:
        weights['pos_embed'] = torch.randn(1, classes + 49, 96)
    weights['head.weight'] = torch.randn(classes, *weights['head.weight'].shape[1:])
    weights['head.bias'] = torch.randn(classes)
    src, dst = tmp_path / 'mct.pth', tmp_path / 'out.pth'
    torch.save({'model': weights}, src)
    run_main(TOOL, src, dst)
    out = capsys.readouterr().out
    assert f'mctformer-{version} with {classes + 1} classes written; use it as' in out
    config = f'configs/mctformer/mctformer-{version}_deit-s_{data}.py'
    command, options = out.rstrip('.\n').split(f'{config} {dst} --tta --cfg-options ')
    assert command.endswith('tools/test.py ')
    words = dict(word.split('=') for word in options.split())
    cfg = Config.fromfile(ROOT / config)
    cfg.merge_from_dict({key: int(value) for key, value in words.items()})
    cfg.model.cam_head.num_classes = classes + 1
    cfg.model.backbone.init_cfg = None
    init_default_scope('mmseg')
    network = MODELS.build(cfg.model)
    load_checkpoint(network, str(dst), strict=True)
    assert torch.equal(network.backbone.class_tokens, weights['cls_token'])
    if version == 'plus':
        assert torch.equal(network.backbone.pos_embed, weights['pos_embed_pat'])
    else:
        assert torch.equal(network.backbone.pos_embed, weights['pos_embed'][:, classes:])
    if version == 'v1':
        assert network.patch_head is None
    else:
        assert torch.equal(network.patch_head.conv_cam.weight, weights['head.weight'])


def test_tool_says_nothing_of_options_for_the_network_of_the_config():
    tool = load_file(TOOL)
    backbone = dict(embed_dims=384, num_heads=6, num_layers=12, patch_size=16, img_size=448)
    assert tool.options(dict(version='plus', backbone=backbone)) == ''
    backbone.update(num_layers=6, patch_size=8)
    words = 'model.backbone.num_layers=6 model.backbone.patch_size=8'
    assert tool.options(dict(version='plus', backbone=backbone)) == f' --cfg-options {words}'


@pytest.mark.parametrize('version', VERSIONS)
def test_a_network_of_few_blocks_takes_the_config(version):
    cfg = Config.fromfile(ROOT / f'configs/mctformer/mctformer-{version}_deit-s_voc.py').model
    cfg.backbone.update(num_layers=4, embed_dims=64, num_heads=1, init_cfg=None)
    network = MODELS.build(cfg)
    assert network.attention_blocks == (4 if version == 'plus' else 3)
    assert len(network.backbone.token_blocks) == (4 if version == 'plus' else 0)


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(cls_token=None), r"has no class tokens \('cls_token'\): give a checkpoint of"),
        ({'blocks.3.norm1.bias': None}, r"becomes 'backbone.layers.3.norm1.bias'"),
        (dict(extra=torch.ones(2)), "'extra' has no place"),
        ({'blocks.0.attn.qkv.weight': torch.ones(7, 96)}, r'has the shape \(7, 96\) where \(288'),
        (dict(cls_token=torch.ones(())), 'has the shape'),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, capsys, version, change, message):
    weights = {**published_weights(f'{version}_tiny'), **change}
    weights = {name: x for name, x in weights.items() if x is not None}
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(weights, src)
    with pytest.raises(SystemExit, match='2'):
        run_main(TOOL, src, dst)
    assert re.search(message, capsys.readouterr().err)
    assert not dst.exists()


def test_missing_positions_of_the_classes_are_named(tmp_path, capsys):
    weights = published_weights('plus_tiny')
    del weights['pos_embed_cls']
    torch.save(weights, tmp_path / 'a.pth')
    with pytest.raises(SystemExit, match='2'):
        run_main(TOOL, tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert "1 of 151 entries are missing, the first is what becomes 'backbone.class_pos_embed'" in (
        capsys.readouterr().err
    )


def test_a_vit_to_start_from_is_refused(tmp_path, capsys):
    weights = published_weights('deit_start_v2')
    weights['head.weight'], weights['head.bias'] = torch.ones(1000, 96), torch.ones(1000)
    torch.save(dict(model=weights), tmp_path / 'deit.pth')
    with pytest.raises(SystemExit, match='2'):
        run_main(TOOL, tmp_path / 'deit.pth', tmp_path / 'b.pth')
    assert "'cls_token' has tokens for 1 classes and 'head.weight' has 1000 classes" in (
        capsys.readouterr().err
    )
