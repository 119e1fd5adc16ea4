"""AttentionMiT: MMSegmentation's features and weights, and the attention of chosen blocks."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.models import MixVisionTransformer
from mmseg.registry import MODELS

pytestmark = pytest.mark.stack
MIT = dict(
    embed_dims=8,
    num_layers=[1, 1, 1, 2],
    num_heads=[1, 2, 3, 2],
    strides=[4, 2, 2, 1],
    sr_ratios=[8, 4, 2, 1],
)


def pair(attention_blocks=(-2, -1), **changes):
    """Return MMSegmentation's network and ours with the same weights, none of them special."""
    theirs = MixVisionTransformer(**MIT, **changes)
    ours = MODELS.build(
        dict(MIT, type='AttentionMiT', attention_blocks=attention_blocks, **changes)
    )
    with torch.no_grad():
        for p in theirs.parameters():
            p.normal_(std=0.3)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs.eval(), ours.eval()


@pytest.mark.parametrize('size', [(64, 64), (75, 101), (33, 40)])
@pytest.mark.parametrize('qkv_bias', [True, False])
@pytest.mark.parametrize('blocks', [(), (-2, -1), range(5)])
def test_features_are_those_of_mmsegmentation(size, qkv_bias, blocks):
    theirs, ours = pair(qkv_bias=qkv_bias, attention_blocks=blocks)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected, plain = theirs(x), ours(x)
        feats, attentions = ours(x, return_attention=True)
    assert len(attentions) == len(blocks)
    for a, b, c in zip(expected, plain, feats, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(c, a, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_mmsegmentation():
    theirs, ours = pair()
    x = torch.randn(1, 3, 48, 40)
    for network, options in ((theirs, {}), (ours, dict(return_attention=True))):
        feats = network(x, **options)
        feats = feats[0] if options else feats
        sum(f.square().mean() for f in feats).backward()
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-3, atol=1e-5)


def test_attention_is_what_the_weights_are_made_of():
    ours = pair(attention_blocks=range(5))[1]
    inputs, blocks = [], [block for stage in ours.layers for block in stage[1]]
    for block in blocks:
        block.norm1.register_forward_hook(lambda _, __, x: inputs.append(x))
    with torch.no_grad():
        attentions = ours(torch.randn(2, 3, 64, 64), return_attention=True)[1]
        for block, x, attention in zip(blocks, inputs, attentions, strict=True):
            layer, side, keys = block.attn, int(x.shape[1] ** 0.5), x
            if layer.sr_ratio > 1:
                keys = layer.sr(x.transpose(1, 2).unflatten(2, (side, side)))
                keys = layer.norm(keys.flatten(2).transpose(1, 2))
            q, k = x.transpose(0, 1), keys.transpose(0, 1)
            weights = layer.attn(q, k, k, average_attn_weights=False)[1]
            scale = (x.shape[2] / weights.shape[1]) ** -0.5
            torch.testing.assert_close((attention * scale).softmax(3), weights)
    shapes = [(2, 1, 256, 4), (2, 2, 64, 4), (2, 3, 16, 4), (2, 2, 16, 16), (2, 2, 16, 16)]
    assert [tuple(x.shape) for x in attentions] == shapes


def test_factors_are_those_of_the_attention():
    ours, x = pair(attention_blocks=range(5))[1], torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        feats, attentions = ours(x, return_attention=True)
        same, factors = ours(x, return_attention='factors')
    torch.testing.assert_close(same, feats, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close([q @ k.transpose(2, 3) for q, k in factors], attentions)


@pytest.mark.parametrize(('request_it', 'fused'), [(False, 5), (True, 3), ('factors', 5)])
def test_attention_is_computed_once(monkeypatch, request_it, fused):
    calls, original = [], F.scaled_dot_product_attention
    monkeypatch.setattr(
        F, 'scaled_dot_product_attention', lambda *a, **k: calls.append(1) or original(*a, **k)
    )
    ours = pair()[1]
    for module in ours.modules():
        if isinstance(module, torch.nn.MultiheadAttention):
            module.forward = None
    ours(torch.randn(1, 3, 32, 32), return_attention=request_it)
    assert len(calls) == fused


@pytest.mark.parametrize('request_it', [False, True, 'factors'])
def test_attention_dropout_is_active_in_training(request_it):
    cfg = dict(MIT, type='AttentionMiT', attention_blocks=range(5), attn_drop_rate=0.5)
    ours = MODELS.build(cfg).train()
    x = torch.randn(1, 3, 32, 32)
    first, second = (ours(x, return_attention=request_it) for _ in range(2))
    if request_it:
        first, second = first[0], second[0]
    assert not torch.allclose(first[3], second[3])
    ours.eval()
    assert torch.equal(ours(x)[3], ours(x)[3])


def test_checkpointing_changes_nothing():
    plain = pair()[1]
    saving = MODELS.build(dict(MIT, type='AttentionMiT', with_cp=True)).eval()
    saving.load_state_dict(plain.state_dict())
    x, calls, gradients = torch.randn(1, 3, 48, 40), [], []
    for network in (plain, saving):
        for block in network.layers[3][1]:
            block.norm1.register_forward_hook(lambda *_: calls.append(1))
        feats, attentions = network(x, return_attention=True)
        (feats[-1].square().mean() + attentions[0].mean()).backward()
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    # the blocks run twice where their activations are not kept
    assert len(calls) == 2 + 4
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ('blocks', 'found', 'maps'),
    [((-2, -1), (3, 4), 4), ((-1, -2, 4), (3, 4), 4), ((0, 2), (0, 2), 4), ((), (), 0)],
)
def test_blocks_are_counted_over_all_stages(blocks, found, maps):
    ours = MODELS.build(dict(MIT, type='AttentionMiT', attention_blocks=blocks))
    assert ours.attention_blocks == found
    assert ours.attention_maps == maps
    attentions = ours(torch.randn(1, 3, 32, 32), return_attention=True)[1]
    assert sum(x.shape[1] for x in attentions) == maps


@pytest.mark.parametrize('blocks', [(5,), (-6, -1)])
def test_block_that_is_not_there_is_refused(blocks):
    with pytest.raises(ValueError, match=r'attention_blocks must lie in -5 to 4, got \(-?\d'):
        MODELS.build(dict(MIT, type='AttentionMiT', attention_blocks=blocks))


@pytest.mark.parametrize(('embed', 'expected'), [(None, 1e-6), (dict(type='LN', eps=1e-5), 1e-5)])
def test_norms_have_two_settings(embed, expected):
    ours = MODELS.build(dict(MIT, type='AttentionMiT', embed_norm_cfg=embed))
    found = {
        name: module.eps
        for name, module in ours.named_modules()
        if isinstance(module, torch.nn.LayerNorm)
    }
    # behind the embedding, and where keys are reduced
    inner = {f'layers.{i}.0.norm' for i in range(4)} | {
        f'layers.{i}.1.0.attn.norm' for i in (0, 1, 2)
    }
    assert len(found) == 21
    assert {name for name, eps in found.items() if eps == 1e-6} == (
        set(found) if embed is None else set(found) - inner
    )
    assert {found[name] for name in inner} == {expected}


@pytest.mark.parametrize('size', [(1, 1), (16, 16), (28, 64), (400, 20)])
def test_images_of_any_size(size):
    ours = pair()[1]
    with torch.no_grad():
        feats = ours(torch.randn(1, 3, *size))
    assert feats[0].shape[2:] == tuple(-(-side // 4) for side in size)
    assert all(bool(feat.isfinite().all()) for feat in feats)
