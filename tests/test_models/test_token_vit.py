"""TokenViT: tokens, positions, attention, maps, and the published numbers of SemFormer's ViT."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from mmseg.registry import MODELS

from mmwsss.models import AffinityHead, TokenViT
from mmwsss.models.backbones import resize_positions
from mmwsss.models.converters.vit import VIT
from tests.loading import load_file

pytestmark = pytest.mark.stack
REFERENCE = Path(__file__).parents[1] / 'data/reference'
SYNTH = load_file(REFERENCE / 'synth_weights.py')
TOLERANCE = dict(rtol=1e-3, atol=1e-4)
TINY = dict(embed_dims=8, num_layers=3, num_heads=2, patch_size=4, img_size=16)


def load(name):
    with np.load(REFERENCE / f'semformer/{name}.npz') as file:
        return {k: torch.from_numpy(file[k]) for k in file if k != 'settings'}


def build(**changes):
    torch.manual_seed(0)
    network = TokenViT(**{**TINY, **changes})
    # what is near 0 at the beginning would hide where it goes
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network.eval()


# the published numbers


@pytest.fixture(scope='module')
def published():
    """Build the DeiT-Tiny of the published segmentor; 21 class tokens, positions on 7 x 7."""
    path = REFERENCE / 'semformer/semformer_deit_tiny.spec.json'
    spec = json.loads(path.read_text())
    weights = SYNTH.synth_state_dict(spec, 2022)
    weights = {name.removeprefix('segmentor.'): torch.from_numpy(x) for name, x in weights.items()}
    names = dict(cls_token='class_tokens', cls_posembed='class_pos_embed')
    names['backbone.grid_posembed'] = 'pos_embed'
    for last in ('weight', 'bias'):
        names[f'backbone.model.norm.{last}'] = f'norm.{last}'
        names[f'backbone.model.patch_embed.proj.{last}'] = f'patch_embed.projection.{last}'
    for name in weights:
        if name.startswith('backbone.model.blocks.'):
            names[name] = VIT(name.removeprefix('backbone.model.'))
    network = TokenViT(
        192,
        num_heads=3,
        img_size=112,
        num_class_tokens=21,
        attention_blocks=(-4, -3, -2, -1),
    )
    network.load_state_dict({ours: weights[theirs] for theirs, ours in names.items()})
    return network.eval(), weights['seg_head.1.weight'], weights['seg_head.1.bias']


@pytest.fixture(scope='module')
def one_image(published):
    """Encode image and mirror image of the published test at scale 1, 5 x 6 patches."""
    data = load('semformer_cam')
    image = data['resized_100'].permute(2, 0, 1).float() / 255
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    image = (image - mean) / std
    with torch.no_grad():
        return data, published[0].encode(torch.stack([image, image.flip(2)]), attention='class')


def test_class_tokens_and_resized_positions_give_the_published_maps(published, one_image):
    data, tokens = one_image
    _, weight, bias = published
    logits = torch.nn.functional.conv2d(tokens.maps[0], weight[..., None, None], bias)
    torch.testing.assert_close(logits, data['seg_logits_100'], **TOLERANCE)


def test_attention_of_class_tokens_is_the_published_one(one_image):
    data, tokens = one_image
    found = torch.stack(tokens.attentions).mean(dim=2)
    torch.testing.assert_close(found, data['cra_layers_100'], **TOLERANCE)


@pytest.mark.parametrize(('name', 'size'), [('', (7, 7)), ('_2', (6, 9))])
def test_positions_are_resized_as_published(name, size):
    data = load('caae_forward')
    found = resize_positions(data['posembed_grid'], (14, 14), size)
    torch.testing.assert_close(found, data[f'posembed_resized{name}'], **TOLERANCE)


# maps


@pytest.mark.parametrize('num_class_tokens', [0, 1, 5])
@pytest.mark.parametrize('size', [(16, 16), (12, 20), (13, 7)])
def test_shapes(num_class_tokens, size):
    network = build(num_class_tokens=num_class_tokens, out_indices=(0, -1))
    with torch.no_grad():
        tokens = network.encode(torch.randn(2, 3, *size))
    grid = [-(-side // 4) for side in size]
    assert [list(x.shape) for x in tokens.maps] == [[2, 8, *grid]] * 2
    assert tokens.class_tokens.shape == (2, num_class_tokens, 8)
    assert tokens.attentions == []


@pytest.mark.parametrize('size', [(16, 16), (12, 20), (13, 7)])
def test_convolutions_in_front_keep_the_patches(size):
    network = build(stem_channels=(6, 4))
    assert network.patch_size == 4 and network.patch_embed.projection.kernel_size == (1, 1)
    with torch.no_grad():
        (found,) = network(torch.randn(2, 3, *size))
    assert found.shape == (2, 8, *(-(-side // 4) for side in size))
    names = {n.split('.')[0] for n in set(network.state_dict()) - set(build().state_dict())}
    assert names == {'stem'}


def test_a_deeper_stem_has_more_convolutions_of_the_same_strides():
    network = build(stem_channels=(6, 4), stem_depth=2)
    convolutions = [m.conv for m in network.stem]
    assert [c.out_channels for c in convolutions] == [6, 6, 4, 4]
    assert [c.stride for c in convolutions] == [(2, 2), (1, 1)] * 2
    with torch.no_grad():
        (found,) = network(torch.randn(2, 3, 16, 12))
    assert found.shape == (2, 8, 4, 3)


def test_a_patch_lies_where_its_pixels_are():
    network = build(num_layers=1, num_class_tokens=2)
    # without attention a token knows its own patch alone
    torch.nn.init.zeros_(network.layers[0].attn.proj.weight)
    image = torch.randn(1, 3, 16, 24)
    changed = image.clone()
    changed[..., 4:8, 16:20] += 1
    with torch.no_grad():
        moved = (network(image)[0] - network(changed)[0]).abs().sum(dim=1)[0] > 1e-6
    assert moved.nonzero().tolist() == [[1, 4]]


def test_the_last_norm_is_for_the_last_block_alone():
    network = build(out_indices=(1, 2))
    with torch.no_grad():
        before = network(torch.ones(1, 3, 16, 16))
        network.norm.bias.add_(1)
        after = network(torch.ones(1, 3, 16, 16))
    assert torch.equal(before[0], after[0])
    torch.testing.assert_close(before[1] + 1, after[1])


def test_class_tokens_have_positions_of_their_own_or_none():
    names = set(build(num_class_tokens=2).state_dict())
    assert names - set(build(num_class_tokens=2, class_positions=False).state_dict()) == {
        'class_pos_embed'
    }
    assert names - set(build().state_dict()) == {'class_tokens', 'class_pos_embed'}


# attention


@pytest.mark.parametrize('num_class_tokens', [0, 3])
@pytest.mark.parametrize('attention', ['raw', 'class', 'mean'])
def test_showing_attention_changes_no_output(num_class_tokens, attention):
    network = build(num_class_tokens=num_class_tokens, attention_blocks=(0, -1))
    image = torch.randn(2, 3, 12, 16)
    with torch.no_grad():
        plain, shown = network.encode(image), network.encode(image, attention=attention)
    torch.testing.assert_close(plain[:2], shown[:2])
    if attention == 'mean':
        size = (2, num_class_tokens + 12, 12)
        assert [x.shape for x in shown.attentions] == [size] * 2
        return
    rows = 12 if attention == 'raw' else num_class_tokens
    assert [x.shape for x in shown.attentions] == [(2, 2, rows, 12)] * 2


def test_mean_attention_has_the_rows_of_all_tokens():
    network, image = build(num_class_tokens=3, attention_blocks=(1,)), torch.randn(1, 3, 8, 12)
    with torch.no_grad():
        (found,) = network.encode(image, attention='mean').attentions
        (rows,) = network.encode(image, attention='class').attentions
    torch.testing.assert_close(found[:, :3], rows.mean(dim=1))
    assert (found.sum(dim=2) < 1).all()  # class tokens get the rest


def test_class_tokens_of_blocks_are_those_before_the_last_norm():
    network, image = build(num_class_tokens=3, token_blocks=(-1, 0)), torch.randn(2, 3, 8, 12)
    with torch.no_grad():
        tokens = network.encode(image)
        assert [x.shape for x in tokens.block_tokens] == [(2, 3, 8)] * 2
        torch.testing.assert_close(network.norm(tokens.block_tokens[1]), tokens.class_tokens)
        plain = build(num_class_tokens=3, final_norm=False)
        assert not any('norm.' == n[:5] for n in plain.state_dict())
        plain.load_state_dict(network.state_dict())
        torch.testing.assert_close(plain.encode(image).class_tokens, tokens.block_tokens[1])


# positions


@pytest.mark.parametrize(('size', 'shifted'), [
    ((16, 16), False), ((19, 19), False), ((16, 18), True), ((8, 16), True), ((32, 32), True)
])  # fmt: skip
def test_shift_of_positions_at_other_sizes(size, shifted):
    """The table is as it is for square images alone whose patches are as many."""
    network, plain = build(position_offset=0.1, drop_remainder=True), build(drop_remainder=True)
    image = torch.randn(1, 3, *size)
    with torch.no_grad():
        assert torch.equal(network(image)[0], plain(image)[0]) != shifted


def test_positions_of_weights_are_repeated_if_asked_for():
    source, target = build(), build(img_size=32, position_init='nearest')
    target.load_state_dict(source.state_dict())
    grid = source.pos_embed.unflatten(1, (4, 4))
    expected = grid.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    assert torch.equal(target.pos_embed.unflatten(1, (8, 8)), expected)


def test_raw_attention_is_that_among_patches():
    """The attention of class tokens is its softmax, class tokens among what is attended to."""
    network = build(num_class_tokens=1, num_layers=1, attention_blocks=(0,))
    block, image = network.layers[0], torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        x = block.norm1(network._embed(image)[0])
        queries, keys = block.attn.qkv(x).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)[:2]
        raw = torch.einsum('nhic,nhjc->nhij', queries, keys)
        (found,) = network(image, return_attention=True)[1]
        (shown,) = network.encode(image, attention='class').attentions
    torch.testing.assert_close(found, raw[..., 1:, 1:])
    torch.testing.assert_close(shown, (raw / 2).softmax(dim=3)[..., :1, 1:])


@pytest.mark.parametrize('num_class_tokens', [0, 3])
def test_affinity_head_works_on_the_attention(num_class_tokens):
    network = build(num_class_tokens=num_class_tokens, attention_blocks=(-2, -1))
    feats, attentions = network(torch.randn(2, 3, 12, 16), return_attention=True)
    assert network.attention_maps == 4
    logits = AffinityHead(network.attention_maps)(attentions)
    assert logits.shape == (2, 12, 12)
    logits.sum().backward()
    assert network.layers[0].attn.qkv.weight.grad.abs().sum() > 0
    assert isinstance(feats, tuple)


def matrices_held(**changes):
    """Count the matrices of all 24 x 24 pairs that a training step keeps."""
    network, saved = build(**changes).train(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        network(torch.randn(1, 3, 16, 24), return_attention=True)
    return len({x.data_ptr() for x in saved if x.shape[-2:] == (24, 24)})


@pytest.mark.parametrize(('blocks', 'held'), [((), 0), ((1,), 1), ((0, 1), 2)])
def test_only_chosen_blocks_hold_a_matrix_of_all_pairs(blocks, held):
    assert matrices_held(attention_blocks=blocks) == held


# training


def test_every_parameter_gets_a_gradient():
    network = build(num_class_tokens=2, drop_path_rate=0.0).train()
    tokens = network.encode(torch.randn(2, 3, 12, 20))
    (tokens.maps[0].square().sum() + tokens.class_tokens.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_checkpointing_changes_memory_alone():
    image = torch.randn(2, 3, 16, 16)
    grads, kept = [], []
    for with_cp in (False, True):
        network = build(with_cp=with_cp, num_class_tokens=1, num_layers=8).train()
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, saved=saved: saved.append(x.numel()) or x, lambda x: x
        ):
            loss = network(image)[0].square().sum()
        loss.backward()
        kept.append(sum(saved))
        grads.append([p.grad for p in network.parameters()])
    torch.testing.assert_close(*grads)
    assert kept[1] < kept[0] / 4


def test_drop_path_grows_with_depth_and_rests_in_evaluation():
    network = build(drop_path_rate=0.4)
    assert [round(x.drop_path.drop_prob, 3) for x in network.layers] == [0.0, 0.2, 0.4]
    assert network.layers[2].ffn.dropout_layer.drop_prob == pytest.approx(0.4)
    image = torch.randn(8, 3, 16, 16)
    plain = build()
    assert torch.equal(network(image)[0], plain(image)[0])
    assert not torch.equal(network.train()(image)[0], plain(image)[0])


def test_a_dropped_path_leaves_a_block_as_if_it_were_not_there():
    block = build(num_layers=1, drop_path_rate=0.0).layers[0]
    x = torch.randn(2, 5, 8)
    assert not torch.allclose(block(x)[0], x)
    block.drop_path.drop_prob = block.ffn.dropout_layer.drop_prob = 1 - 1e-7
    assert torch.equal(block.train()(x)[0], x)


def test_norms_have_the_published_epsilon():
    network = build()
    norms = [network.norm, *(x for y in network.layers for x in (y.norm1, y.norm2))]
    assert {x.eps for x in norms} == {1e-6}


# weights


@pytest.mark.parametrize('load', ['torch', 'mmengine'])
def test_positions_of_another_size_are_resized_when_loaded(load):
    source, target = build(num_class_tokens=1), build(num_class_tokens=1, img_size=(24, 12))
    weights = source.state_dict()
    names = list(weights)
    if load == 'torch':
        target.load_state_dict(weights)
    else:
        load_state_dict(target, weights, strict=True)
    expected = resize_positions(source.pos_embed, (4, 4), (6, 3))
    torch.testing.assert_close(target.pos_embed, expected)
    assert list(weights) == names and weights['pos_embed'].shape == (1, 16, 8)


def test_positions_of_no_square_are_refused():
    weights = build().state_dict()
    weights['pos_embed'] = torch.zeros(1, 15, 8)
    with pytest.raises(RuntimeError, match='size mismatch for pos_embed'):
        build().load_state_dict(weights)


def test_weights_are_loaded_by_init_cfg(tmp_path):
    source = build()
    torch.save(source.state_dict(), tmp_path / 'vit.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'vit.pth'))
    network = MODELS.build(dict(type='TokenViT', **TINY, init_cfg=init_cfg))
    network.init_weights()
    torch.testing.assert_close(network.state_dict(), source.state_dict())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_heads=3), 'num_heads=3 must divide embed_dims=8'),
        (
            dict(stem_channels=(4, 4, 4)),
            'patch_size=4 must be a multiple of 8, the stride of a stem of 3 widths',
        ),
        (dict(stem_channels=(4,), stem_depth=0), 'stem_depth must be 1 or more, got 0'),
        (dict(img_size=(16, 18)), r'multiple of patch_size=4, got \(16, 18\)'),
        (dict(out_indices=(3,)), r'out_indices must lie in -3 to 2, got \(3,\)'),
        (dict(attention_blocks=(-4,)), r'attention_blocks must lie in -3 to 2, got \(-4,\)'),
        (dict(token_blocks=(3,)), r'token_blocks must lie in -3 to 2, got \(3,\)'),
        (dict(position_init='area'), "must be 'bicubic' or 'nearest' and position_offset"),
        (dict(position_offset=1.0), r"position_offset lie in 0 to below 1, got 'bicubic' and 1.0"),
        (dict(frozen_blocks=4), 'frozen_blocks must lie in 0 to 3, got 4'),
    ],
)
def test_wrong_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_unknown_attention_is_refused():
    with pytest.raises(ValueError, match=r"one of \('raw', 'class', 'mean'\), got 'soft'"):
        build().encode(torch.zeros(1, 3, 16, 16), attention='soft')


@pytest.mark.parametrize('number', [0, 1, 3])
def test_frozen_blocks_learn_no_more_than_what_lies_before_them(number):
    network = build(frozen_blocks=number, num_class_tokens=1)
    sum(x.sum() for x in network(torch.randn(1, 3, 16, 16))).backward()
    learned = {name for name, p in network.named_parameters() if p.grad is not None}
    front = ('patch_embed.', 'pos_embed', 'class_') if number else ()
    frozen = (*front, *(f'layers.{i}.' for i in range(number)))
    assert learned == {n for n, _ in network.named_parameters() if not n.startswith(frozen)}
    assert any(name.startswith('norm.') for name in learned)


def test_frozen_blocks_keep_nothing_for_the_backward_pass():
    network, seen = build(frozen_blocks=2), []
    for block in network.layers:
        block.register_forward_hook(lambda _, __, out: seen.append(out[0].requires_grad))
    network(torch.randn(1, 3, 16, 16))
    assert seen == [False, False, True]


def test_frozen_positions_learn_no_more_and_all_else_does():
    network = build(frozen_positions=True, num_class_tokens=1)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {'pos_embed', 'class_pos_embed'}


@pytest.mark.parametrize('size', [(18, 23), (4, 7)])
def test_a_remainder_is_dropped_on_request(size):
    network, image = build(drop_remainder=True), torch.randn(1, 3, *size)
    whole = [side // 4 * 4 for side in size]
    maps = network(image)[0]
    assert list(maps.shape[2:]) == [side // 4 for side in whole]
    assert torch.equal(maps, network(image[..., : whole[0], : whole[1]])[0])
