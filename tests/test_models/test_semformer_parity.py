"""SemFormer against the numbers of the published implementation, through the converter."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.models.converters import published_to_caae
from mmwsss.models.losses import similarity_loss
from mmwsss.ops import clamped_cosine

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference'
TOLERANCE = dict(rtol=1e-3, atol=1e-4)


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(name):
    with np.load(REFERENCE / f'semformer/{name}.npz') as file:
        settings = json.loads(str(file['settings']))
        return {k: torch.from_numpy(file[k]) for k in file if k != 'settings'}, settings


def samples(labels):
    """Make samples with the foreground labels of each image."""
    out = []
    for label in labels:
        sample = SegDataSample()
        sample.set_data(dict(gt_score=label[1:]))
        out.append(sample)
    return out


@pytest.fixture(scope='module')
def caae(tmp_path_factory):
    """Build the public model at DeiT-Tiny's width with published weights put through the tool."""
    synth = module_of(REFERENCE / 'synth_weights.py')
    path = REFERENCE / 'semformer/caae_deit_tiny_distilled.spec.json'
    weights = synth.synth_state_dict(path, 2022)
    folder = tmp_path_factory.mktemp('caae')
    weights = {f'module.{name}': torch.from_numpy(value) for name, value in weights.items()}
    torch.save(weights, folder / 'published.pth')
    tool = module_of(ROOT / 'tools/model_converters/semformer2mmwsss.py')
    tool.convert_caae(folder / 'published.pth', folder / 'converted.pth')
    init_default_scope('mmseg')
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/caae_deit-b.py').model
    cfg.backbone.update(embed_dims=192, num_heads=3, init_cfg=None)
    cfg.embed_head.update(in_channels=192, embed_channels=32)
    cfg.decoder.update(embed_dims=192, num_layers=2, num_heads=3)
    model = MODELS.build(cfg)
    load_checkpoint(model, str(folder / 'converted.pth'), strict=True)
    return model.eval()


def test_published_weights_take_the_configs_place(caae):
    """Names and shapes of the full size, which no weight is left out of."""
    path = REFERENCE / 'semformer/caae_deit_base_distilled.spec.json'
    spec = json.loads(path.read_text())
    unused = ('model.dist_token', 'model.head_dist.weight', 'model.head_dist.bias')
    published = {
        published_to_caae(name): tuple(shape)
        for name, shape in spec.items()
        if not name.endswith(unused)
    }
    assert len(published) == len(spec) - 3
    cfg = Config.fromfile(ROOT / 'configs/semformer/caae_deit-b_voc.py').model
    with torch.device('meta'):
        network = MODELS.build(cfg)
    assert {name: tuple(x.shape) for name, x in network.state_dict().items()} == published


@pytest.mark.parametrize('training', [False, True])
def test_forward(caae, training):
    data, _ = load('caae_forward')
    caae.train(training)
    with torch.no_grad():
        tokens = caae.extract_feat(data['images']).flatten(2).transpose(1, 2)
        outputs = caae(data['images'], mode='tensor')
    caae.eval()
    torch.testing.assert_close(tokens, data['tokens'], **TOLERANCE)
    assert list(outputs) == ['class_embed', 'class_semantic', 'similarity', 'reconstruction']
    embed = data['class_embeddings']
    torch.testing.assert_close(outputs['class_embed'], embed, rtol=1e-3, atol=1e-3)
    semantic = outputs['class_semantic'].expand_as(embed)
    torch.testing.assert_close(semantic, data['class_semantics'], **TOLERANCE)
    torch.testing.assert_close(outputs['similarity'], data['sim'], **TOLERANCE)
    torch.testing.assert_close(outputs['reconstruction'], data['reconstruction'], **TOLERANCE)


def test_losses_and_their_gradients(caae):
    data, settings = load('caae_forward')
    losses = caae(data['images'], samples(data['labels']), mode='loss')
    assert list(losses) == ['loss_similarity', 'loss_reconstruction']
    values = torch.stack([*losses.values(), sum(losses.values())]).double()
    torch.testing.assert_close(values, data['losses'], rtol=1e-4, atol=0)
    parameters = dict(caae.named_parameters())
    names = [published_to_caae(name) for name in settings['grad_names']]
    chosen = [parameters[name] for name in names]
    wanted = dict(zip(('grad_norms_sim', 'grad_norms_recon'), losses.values(), strict=True))
    wanted['grad_norms'] = sum(losses.values())
    for key, loss in wanted.items():
        grads = torch.autograd.grad(loss, chosen, retain_graph=True, allow_unused=True)
        norms = torch.tensor([0.0 if x is None else x.norm().item() for x in grads])
        torch.testing.assert_close(norms.double(), data[key], rtol=1e-3, atol=1e-6)
    # the last gradients are those of the sum; images give gradient to their own classes alone
    semantics = grads[names.index('embed_head.semantics.weight')]
    torch.testing.assert_close(semantics, data['grad_class_semantics'], **TOLERANCE)
    assert not semantics[data['labels'].sum(dim=0) == 0].any()


def test_cosine():
    data, settings = load('caae_forward')
    found = clamped_cosine(data['cos_a'], data['cos_b'])
    torch.testing.assert_close(found, data['cos_ab'], **TOLERANCE)
    assert found.abs().max().item() == pytest.approx(1 - settings['similarity_clamp'])


def test_similarity_loss(caae):
    data, _ = load('caae_forward')
    found = similarity_loss(data['sim'], data['labels'])
    torch.testing.assert_close(found.double(), data['losses'][0], rtol=1e-4, atol=0)


def test_small_inputs_show_the_epsilon_of_the_norms(caae):
    data, _ = load('caae_forward')
    with torch.no_grad():
        decoded = caae.decoder.decode(data['decoder_probe_in'])
        reduced = caae.decoder.reduce(data['re_convert_probe_in'])
    torch.testing.assert_close(decoded, data['decoder_probe_out'], **TOLERANCE)
    torch.testing.assert_close(reduced, data['re_convert_probe_out'], **TOLERANCE)
