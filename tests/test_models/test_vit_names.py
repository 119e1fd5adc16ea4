"""Published ViTs whose weights differ from DeiT's: DINOv2 and Google's for JAX."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.runner.checkpoint import load_state_dict

from mmwsss.models import TokenViT
from mmwsss.models.converters.foreign_weights import ConversionError
from mmwsss.models.converters.vit import read_token_vit

WIDTH, HEADS, PATCH = 128, 2, 4


def random_arrays(shapes):
    generator = np.random.default_rng(0)
    return {
        name: generator.normal(scale=0.2, size=shape).astype('f4') for name, shape in shapes.items()
    }


def flax():
    """Make a file of Google's for JAX: two blocks, 8 x 8 pixels, a classifier."""
    shapes = {
        'cls': (1, 1, WIDTH),
        'embedding/kernel': (PATCH, PATCH, 3, WIDTH),
        'embedding/bias': (WIDTH,),
        'Transformer/posembed_input/pos_embedding': (1, 5, WIDTH),
        'Transformer/encoder_norm/scale': (WIDTH,),
        'Transformer/encoder_norm/bias': (WIDTH,),
        'head/kernel': (WIDTH, 1000),
        'head/bias': (1000,),
    }
    for i in range(2):
        block = f'Transformer/encoderblock_{i}'
        for norm in ('LayerNorm_0', 'LayerNorm_2'):
            shapes |= {f'{block}/{norm}/scale': (WIDTH,), f'{block}/{norm}/bias': (WIDTH,)}
        attention = f'{block}/MultiHeadDotProductAttention_1'
        for part in ('query', 'key', 'value'):
            shapes[f'{attention}/{part}/kernel'] = (WIDTH, HEADS, WIDTH // HEADS)
            shapes[f'{attention}/{part}/bias'] = (HEADS, WIDTH // HEADS)
        shapes[f'{attention}/out/kernel'] = (HEADS, WIDTH // HEADS, WIDTH)
        shapes[f'{attention}/out/bias'] = (WIDTH,)
        for number, (before, after) in enumerate([(WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)]):
            shapes[f'{block}/MlpBlock_3/Dense_{number}/kernel'] = (before, after)
            shapes[f'{block}/MlpBlock_3/Dense_{number}/bias'] = (after,)
    return random_arrays(shapes)


def flax_class_token(arrays, image):
    """Compute the class token as the JAX code does, in its own shapes."""
    x = {name: torch.from_numpy(value) for name, value in arrays.items()}

    def norm(tokens, name):
        return F.layer_norm(tokens, (WIDTH,), x[f'{name}/scale'], x[f'{name}/bias'], 1e-6)

    patches = image.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # (N, 3, h, w, rows, columns)
    tokens = torch.einsum('nchwij,ijcd->nhwd', patches, x['embedding/kernel']).flatten(1, 2)
    tokens = torch.cat([x['cls'], tokens + x['embedding/bias']], dim=1)
    tokens = tokens + x['Transformer/posembed_input/pos_embedding']
    for i in range(2):
        block = f'Transformer/encoderblock_{i}'
        attention = f'{block}/MultiHeadDotProductAttention_1'
        y = norm(tokens, f'{block}/LayerNorm_0')
        queries, keys, values = (
            torch.einsum('nlc,chd->nlhd', y, x[f'{attention}/{part}/kernel'])
            + x[f'{attention}/{part}/bias']
            for part in ('query', 'key', 'value')
        )
        weights = torch.einsum('nlhd,nmhd->nhlm', queries, keys) / (WIDTH // HEADS) ** 0.5
        y = torch.einsum('nhlm,nmhd->nlhd', weights.softmax(3), values)
        y = torch.einsum('nlhd,hdc->nlc', y, x[f'{attention}/out/kernel'])
        tokens = tokens + y + x[f'{attention}/out/bias']
        mlp = f'{block}/MlpBlock_3'
        y = norm(tokens, f'{block}/LayerNorm_2')
        y = F.gelu(y @ x[f'{mlp}/Dense_0/kernel'] + x[f'{mlp}/Dense_0/bias'])
        tokens = tokens + y @ x[f'{mlp}/Dense_1/kernel'] + x[f'{mlp}/Dense_1/bias']
    return norm(tokens, 'Transformer/encoder_norm')[:, 0]


def test_weights_for_jax_give_the_published_class_token(tmp_path):
    arrays = flax()
    np.savez(tmp_path / 'vit.npz', **arrays)
    state_dict, _, settings = read_token_vit(tmp_path / 'vit.npz')
    assert settings['img_size'] == 8 and settings['num_heads'] == HEADS
    network = TokenViT(**settings).eval()
    network.load_state_dict(state_dict)
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = network.encode(image).class_tokens[:, 0]
    torch.testing.assert_close(found, flax_class_token(arrays, image), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda arrays: arrays.pop('cls'),
            "has the shape|no place in the network|'class_tokens'|are missing",
        ),
        (lambda arrays: arrays.update(extra=np.ones(3)), "entry 'extra' has no place"),
        (lambda arrays: arrays.update(cls=np.array([{}])), 'cannot be read as weights of a ViT'),
    ],
)
def test_other_archives_are_refused(tmp_path, change, message):
    arrays = flax()
    change(arrays)
    np.savez(tmp_path / 'vit.npz', **arrays)
    with pytest.raises(ConversionError, match=message):
        read_token_vit(tmp_path / 'vit.npz')


def dinov2():
    """Make weights under the names of DINOv2: with factors and a mask token, no classifier."""
    shapes = {
        'cls_token': (1, 1, 64),
        'pos_embed': (1, 5, 64),
        'mask_token': (1, 64),
        'patch_embed.proj.weight': (64, 3, 14, 14),
        'patch_embed.proj.bias': (64,),
        'norm.weight': (64,),
        'norm.bias': (64,),
        'blocks.0.ls1.gamma': (64,),
        'blocks.0.ls2.gamma': (64,),
    }
    layers = {
        'norm1': (64,),
        'attn.qkv': (192, 64),
        'attn.proj': (64, 64),
        'norm2': (64,),
        'mlp.fc1': (256, 64),
        'mlp.fc2': (64, 256),
    }
    for name, shape in layers.items():
        shapes |= {f'blocks.0.{name}.weight': shape, f'blocks.0.{name}.bias': shape[:1]}
    return {name: torch.from_numpy(x) for name, x in random_arrays(shapes).items()}


def test_dinov2_loads_with_its_factors(tmp_path):
    weights = dinov2()
    torch.save(weights, tmp_path / 'dinov2.pth')
    state_dict, _, settings = read_token_vit(tmp_path / 'dinov2.pth')
    assert settings['patch_size'] == 14 and settings['img_size'] == 28
    network = TokenViT(**settings)
    network.load_state_dict(state_dict)
    torch.testing.assert_close(network.layers[0].ls1.gamma.data, weights['blocks.0.ls1.gamma'])
    torch.testing.assert_close(network.layers[0].ls2.gamma.data, weights['blocks.0.ls2.gamma'])


def test_factors_scale_what_a_block_adds():
    network = TokenViT(16, 1, num_heads=2, patch_size=4, img_size=8, layer_scale=0.0)
    x = torch.rand(2, 4, 16)
    assert torch.equal(network.layers[0](x)[0], x)
    network.layers[0].ls2.gamma.data.fill_(0.5)
    block = network.layers[0]
    torch.testing.assert_close(block(x)[0], x + 0.5 * block.ffn(block.norm2(x)))


@pytest.mark.parametrize('num_class_tokens', [0, 1, 3])
def test_class_token_is_left_out_or_repeated(num_class_tokens, capsys):
    sizes = dict(embed_dims=16, num_layers=1, num_heads=2, patch_size=4, img_size=8)
    weights = TokenViT(**sizes, num_class_tokens=1).state_dict()
    network = TokenViT(**sizes, num_class_tokens=num_class_tokens)
    load_state_dict(network, weights, strict=True)
    assert torch.equal(network.pos_embed, weights['pos_embed'])
