"""ToCo's converter: every entry in its place, what it says, and what it refuses."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS

from tests.loading import ROOT, load_file, run_main
from tests.toco_reference import published_weights

pytestmark = pytest.mark.stack
TOOL = 'tools/model_converters/toco2mmwsss.py'


@pytest.fixture(scope='module')
def published():
    return published_weights('toco_deit_tiny')


@pytest.mark.parametrize(('classes', 'data'), [(20, 'voc'), (80, 'coco'), (3, 'voc')])
def test_tool_writes_what_the_network_loads(tmp_path, capsys, published, classes, data):
    weights = dict(published)
    for name in ('classifier', 'aux_classifier'):
        weights[f'module.{name}.weight'] = torch.randn(classes, 192, 1, 1)
    weights['module.decoder.conv8.weight'] = torch.randn(classes + 1, 512, 1, 1)
    src, dst = tmp_path / 'toco.pth', tmp_path / 'out.pth'
    torch.save(weights, src)
    run_main(TOOL, src, dst)
    out = capsys.readouterr().out
    assert f'ToCo with {classes + 1} classes written; use it as tools/test.py' in out
    command, options = out.rstrip('.\n').split(f'configs/toco/toco_vit-b_{data}.py {dst} ')
    words = dict(word.split('=') for word in options.removeprefix('--cfg-options ').split())
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/toco_vit-b.py')
    cfg.merge_from_dict({key: int(value) for key, value in words.items()})
    for part in ('cam_head', 'auxiliary_head', 'decode_head'):
        cfg.model[part].num_classes = classes + 1
    cfg.model.backbone.init_cfg = None
    init_default_scope('mmseg')
    network = MODELS.build(cfg.model)
    load_checkpoint(network, str(dst), strict=True)
    assert torch.equal(network.cam_head.conv_cam.weight, weights['module.classifier.weight'])
    teacher = network.contrast_head.teacher.mlp[0].bias
    assert torch.equal(teacher, weights['module.proj_head_t.mlp.0.bias'])
    known = torch.load(dst, weights_only=True)['meta'].get('dataset_meta')
    assert (known is not None) == (classes != 3)


def test_tool_says_nothing_of_options_for_the_network_of_the_config(capsys, monkeypatch):
    tool = load_file(TOOL)
    settings = dict(backbone=dict(embed_dims=768, num_heads=12), num_classes=21)
    assert tool.options(settings) == ''


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'module.proj_head.mlp.0.bias': None}, "becomes 'contrast_head.student.mlp.0.bias'"),
        ({'module.encoder.cls_token': None}, 'has no place|missing|shape'),
        ({'module.decoder.conv9.weight': torch.ones(2)}, "'decoder.conv9.weight' has no place"),
        (
            {'module.classifier.weight': torch.ones(20, 7, 1, 1)},
            r"'classifier.weight' has the shape \(20, 7, 1, 1\) where \(20, 192",
        ),
        ({'module.decoder.conv6.weight': torch.ones(())}, "'decoder.conv6.weight' has the shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, capsys, published, change, message):
    weights = {name: x for name, x in {**published, **change}.items() if x is not None}
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(weights, src)
    with pytest.raises(SystemExit, match='2'):
        run_main(TOOL, src, dst)
    assert re.search(message, capsys.readouterr().err)
    assert not dst.exists()
