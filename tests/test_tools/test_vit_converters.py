"""Converters of ViT, DeiT and SemFormer: names, tokens, refused files, what is written."""

import pytest
import torch
from mmengine.runner.checkpoint import load_checkpoint

from mmwsss.models import TokenViT
from mmwsss.models.backbones import resize_positions
from mmwsss.models.converters.semformer import CAAE, SEMFORMER, caae_settings, semformer_settings
from mmwsss.models.converters.vit import VIT, split_vit_tokens, vit_settings
from tests.loading import run_main

TOOLS = ('vit2mmwsss', 'semformer2mmwsss')
SIZES = dict(embed_dims=64, num_layers=2, num_heads=1, patch_size=8, img_size=32)


def run(name, *argv):
    options = []
    if name == 'semformer2mmwsss' and '--part' not in argv:
        options = ['--part', 'caae']
    run_main(f'tools/model_converters/{name}.py', *argv, *options)


def deit(distilled=False, layers=2):
    """Make weights under the names of DeiT and timm."""
    generator = torch.Generator().manual_seed(0)

    def array(*shape):
        return torch.rand(shape, generator=generator)

    weights = {'cls_token': array(1, 1, 64), 'pos_embed': array(1, 17 + distilled, 64)}
    for name, shape in {
        'patch_embed.proj': (64, 3, 8, 8),
        **{
            f'blocks.{i}.{name}': shape
            for i in range(layers)
            for name, shape in {
                'norm1': (64,),
                'attn.qkv': (192, 64),
                'attn.proj': (64, 64),
                'norm2': (64,),
                'mlp.fc1': (256, 64),
                'mlp.fc2': (64, 256),
            }.items()
        },
        'norm': (64,),
        'head': (1000, 64),
    }.items():
        weights[f'{name}.weight'] = array(*shape)
        weights[f'{name}.bias'] = array(shape[0])
    if distilled:
        weights['dist_token'] = array(1, 1, 64)
        weights['head_dist.weight'], weights['head_dist.bias'] = array(1000, 64), array(1000)
    return weights


def mmpretrain(weights):
    """Give weights of DeiT the names of MMPretrain."""
    changes = (
        ('.mlp.fc1.', '.ffn.layers.0.0.'),
        ('.mlp.fc2.', '.ffn.layers.1.'),
        ('blocks.', 'layers.'),
        ('norm1.', 'ln1.'),
        ('norm2.', 'ln2.'),
        ('.proj.', '.projection.'),
        ('.attn.projection.', '.attn.proj.'),
    )
    out = {}
    for name, value in weights.items():
        for old, new in changes:
            name = name.replace(old, new)
        name = name.replace('norm.', 'ln1.') if name.startswith('norm.') else name
        head = name.startswith('head')
        out[f'head.layers.{name}' if head else f'backbone.{name}'] = value
    return out


WRAPS = dict(
    timm=lambda weights: weights,
    deit=lambda weights: {'model': weights},
    mmpretrain=lambda weights: {'state_dict': mmpretrain(weights), 'meta': {}},
)


@pytest.mark.stack
@pytest.mark.parametrize('wrap', WRAPS)
@pytest.mark.parametrize('distilled', [False, True])
@pytest.mark.parametrize('num_class_tokens', [0, 1, 5])
def test_every_file_becomes_the_same_weights(tmp_path, wrap, distilled, num_class_tokens, capsys):
    weights = deit(distilled)
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(WRAPS[wrap](weights), src)
    run('vit2mmwsss', src, dst, '--class-tokens', num_class_tokens)
    said = capsys.readouterr().out
    assert said.startswith(f'{dst}: ViT for images of 32 written; use it as backbone=dict(')
    assert 'embed_dims=64, num_layers=2, num_heads=1, patch_size=8, ' in said
    assert f'num_class_tokens={num_class_tokens}' in said
    network = TokenViT(**SIZES, num_class_tokens=num_class_tokens)
    load_checkpoint(network, str(dst), strict=True)
    state_dict = network.state_dict()
    assert torch.equal(state_dict['layers.1.ffn.layers.1.bias'], weights['blocks.1.mlp.fc2.bias'])
    assert torch.equal(state_dict['norm.weight'], weights['norm.weight'])
    assert torch.equal(state_dict['pos_embed'], weights['pos_embed'][:, 1 + distilled :])
    if num_class_tokens:
        tokens = weights['cls_token'].expand(-1, num_class_tokens, -1)
        assert torch.equal(state_dict['class_tokens'], tokens)
        positions = weights['pos_embed'][:, :1].expand(-1, num_class_tokens, -1)
        assert torch.equal(state_dict['class_pos_embed'], positions)


@pytest.mark.stack
def test_converted_weights_serve_larger_images(tmp_path):
    weights = deit()
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(weights, src)
    run('vit2mmwsss', src, dst)
    init_cfg = dict(type='Pretrained', checkpoint=str(dst))
    network = TokenViT(**{**SIZES, 'img_size': 64}, init_cfg=init_cfg)
    network.init_weights()
    expected = resize_positions(weights['pos_embed'][:, 1:], (4, 4), (8, 8))
    torch.testing.assert_close(network.pos_embed, expected)
    assert torch.equal(network.norm.bias, weights['norm.bias'])


def test_names_have_one_place_each():
    names = split_vit_tokens(deit(distilled=True), 2)
    places = [VIT(name) for name in names]
    assert len(set(places)) == len(places)
    assert set(places) == set(TokenViT(**SIZES, num_class_tokens=2).state_dict())


@pytest.mark.parametrize(
    'name', ['blocks.0.attn.q_norm.weight', 'blocks.0.attn.rel_pos', 'fc_norm.weight', 'cls_token']
)
def test_foreign_names_have_no_place_in_the_network(name):
    assert VIT(name) not in TokenViT(**SIZES, num_class_tokens=2).state_dict()


def test_settings_are_read_off_the_weights():
    weights = split_vit_tokens(deit(layers=3), 2)
    assert vit_settings(VIT.renamed(weights)) == {**SIZES, 'num_layers': 3, 'num_class_tokens': 2}


def without(name, weights):
    return {key: value for key, value in weights.items() if key != name}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda w: w | {'blocks.0.attn.rel_pos': torch.ones(64)},
            "the entry 'blocks.0.attn.rel_pos' has no place in the network",
        ),
        (lambda w: without('norm.bias', w), "the first is what becomes 'norm.bias'"),
        (lambda w: without('cls_token', w), "'pos_embed' has the shape (1, 17, 64) where"),
        (
            lambda w: w | {'pos_embed': torch.ones(1, 16, 64)},
            "'pos_embed' has the shape (1, 15, 64) where (1, 9, 64) is expected",
        ),
    ],
)
def test_foreign_weights_are_refused(tmp_path, capsys, change, message):
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(change(deit()), src)
    with pytest.raises(SystemExit, match='2'):
        run('vit2mmwsss', src, dst, '--class-tokens', 2)
    assert message in capsys.readouterr().err
    assert not dst.exists()


def test_number_of_class_tokens_is_checked(tmp_path, capsys):
    with pytest.raises(SystemExit, match='2'):
        run('vit2mmwsss', tmp_path / 'a.pth', tmp_path / 'b.pth', '--class-tokens', -1)
    assert '--class-tokens must be at least 0, got -1' in capsys.readouterr().err


@pytest.mark.parametrize('name', TOOLS)
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
    assert message in error and error.count('\n') == 1
    assert not dst.exists()


# SemFormer


def published_caae(num_classes=21):
    """Make weights of a small auto-encoder under their published names."""
    prefix = 'encoder.vit_backbone.'
    weights = deit(distilled=True)
    out = {f'{prefix}grid_posembed': weights['pos_embed'][:, 2:]}
    for name, value in weights.items():
        if name not in ('cls_token', 'pos_embed') and not name.startswith('head.'):
            out[f'{prefix}model.{name}'] = value
        if name.startswith(('blocks.', 'norm.')):
            out[f'decoder.{name}'] = value
    linear = {
        'mlp': (64, 64),
        'decoder.mlp': (192, 64),
        'convert.0': (num_classes * 4, 64),
        're_convert.0': (64, num_classes * 4),
        're_convert.1': (64,),
        'crs.0': (num_classes, 4),
    }
    for name, shape in linear.items():
        out[f'{name}.weight'] = torch.rand(shape)
        if name not in ('convert.0', 're_convert.0', 'crs.0'):
            out[f'{name}.bias'] = torch.rand(shape[0])
    return out


@pytest.mark.stack
@pytest.mark.parametrize(('num_classes', 'config'), [(21, 'voc'), (81, 'coco'), (5, 'voc')])
def test_auto_encoder_is_written(tmp_path, capsys, num_classes, config):
    weights = published_caae(num_classes)
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(weights, src)
    run('semformer2mmwsss', src, dst)
    said = capsys.readouterr().out
    assert f'{num_classes} classes written' in said
    assert f'configs/semformer/caae_deit-b_{config}.py' in said
    checkpoint = torch.load(dst, weights_only=True)
    found = checkpoint['state_dict']
    # all but the distillation token and its classifier
    assert len(found) == len(weights) - 3
    for ours, theirs in {
        'decoder.paint.weight': 'decoder.mlp.weight',
        'decoder.project.weight': 'mlp.weight',
        'backbone.layers.1.norm2.bias': 'encoder.vit_backbone.model.blocks.1.norm2.bias',
    }.items():
        assert torch.equal(found[ours], weights[theirs])
    assert ('dataset_meta' in checkpoint['meta']) == (num_classes != 5)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: without('crs.0.weight', w), "'convert.0.weight' has the shape (84, 64)"),
        (
            lambda w: without('encoder.vit_backbone.grid_posembed', w),
            "the first is what becomes 'backbone.pos_embed'",
        ),
        (lambda w: w | {'fc8.weight': torch.ones(1)}, "the entry 'fc8.weight' has no place"),
        (lambda w: w | {'crs.0.weight': torch.ones(3)}, "'convert.0.weight' has the shape"),
        (lambda w: deit(), "the entry 'cls_token' has no place in the network"),
    ],
)
def test_foreign_auto_encoders_are_refused(tmp_path, capsys, change, message):
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(change(published_caae()), src)
    with pytest.raises(SystemExit, match='2'):
        run('semformer2mmwsss', src, dst)
    assert message in capsys.readouterr().err
    assert not dst.exists()


def test_settings_of_an_auto_encoder():
    settings = caae_settings(CAAE.renamed(published_caae(5)))
    assert settings['backbone'] == {**SIZES, 'num_class_tokens': 0}
    assert settings['embed_head'] == dict(in_channels=64, num_classes=5, embed_channels=4)
    assert settings['decoder']['num_layers'] == 2 and settings['decoder']['patch_size'] == 8


def published_segmentor(num_classes=21):
    """Make weights of a small segmentation network under their published names."""
    prefix = 'segmentor.backbone.model.'
    weights = {f'{prefix}{name}': x for name, x in deit().items() if not name.startswith('head.')}
    out = {'segmentor.backbone.grid_posembed': torch.rand(1, 16, 64), **weights}
    shapes = {
        'cls_token': (1, num_classes, 64),
        'cls_posembed': (1, num_classes, 64),
        'cls_head.weight': (num_classes, 64, 4),
        'cls_head.bias': (num_classes, 4),
        'seg_head.1.weight': (num_classes, 64),
        'seg_head.1.bias': (num_classes,),
    }
    out.update({f'segmentor.{name}': torch.rand(shape) for name, shape in shapes.items()})
    return out


SEGMENTOR = ('--part', 'segmentor')


@pytest.mark.stack
@pytest.mark.parametrize('with_guide', [False, True])
@pytest.mark.parametrize(('num_classes', 'config'), [(21, 'voc'), (81, 'coco'), (5, 'voc')])
def test_segmentation_network_is_written(tmp_path, capsys, num_classes, config, with_guide):
    weights = published_segmentor(num_classes)
    guide = {f'ae.{name}': x - 0.5 for name, x in published_caae(num_classes).items()}
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(weights | (guide if with_guide else {}), src)
    run('semformer2mmwsss', src, dst, *SEGMENTOR)
    said = capsys.readouterr().out
    assert f'segmentation network with {num_classes} classes written' in said
    assert f'configs/semformer/semformer_deit-s_{config}.py' in said
    checkpoint = torch.load(dst, weights_only=True)
    found = checkpoint['state_dict']
    # all but the ViT's own token and positions, and the semantics of the auto-encoder besides
    assert len(found) == len(weights) - 2 + 1
    for ours, theirs in {
        'backbone.class_tokens': 'cls_token',
        'backbone.pos_embed': 'backbone.grid_posembed',
        'backbone.norm.bias': 'backbone.model.norm.bias',
        'embed_head.weight': 'cls_head.weight',
        'cam_head.classify.bias': 'seg_head.1.bias',
    }.items():
        assert torch.equal(found[ours], weights[f'segmentor.{theirs}'])
    expected = guide['ae.crs.0.weight'].relu() if with_guide else torch.zeros(num_classes, 4)
    assert torch.equal(found['class_semantics'], expected)
    assert ('dataset_meta' in checkpoint['meta']) == (num_classes != 5)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda w: without('segmentor.cls_head.bias', w),
            "the first is what becomes 'embed_head.bias'",
        ),
        (lambda w: w | {'fc8.weight': torch.ones(1)}, "the entry 'fc8.weight' has no place"),
        (
            lambda w: w | {'segmentor.seg_head.1.bias': torch.ones(3)},
            "'segmentor.seg_head.1.bias' has the shape (3,) where (21,) is expected",
        ),
        (lambda w: published_caae(), 'has no place in the network'),
    ],
)
def test_foreign_segmentation_networks_are_refused(tmp_path, capsys, change, message):
    src, dst = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(change(published_segmentor()), src)
    with pytest.raises(SystemExit, match='2'):
        run('semformer2mmwsss', src, dst, *SEGMENTOR)
    assert message in capsys.readouterr().err
    assert not dst.exists()


def test_settings_of_a_segmentation_network():
    settings = semformer_settings(SEMFORMER.renamed(published_segmentor(5)))
    assert settings['backbone'] == SIZES
    assert settings['cam_head'] == dict(in_channels=64, num_classes=5)
    assert settings['caae']['embed_head'] == dict(num_classes=5, embed_channels=4)
