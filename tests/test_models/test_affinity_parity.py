"""AffinityNet and IRN's boundary branch against the numbers of the published implementations."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image

from mmwsss.models.converters.convolutional import AFFINITYNET, IRN, affinitynet_shapes, irn_shapes
from mmwsss.models.converters.foreign_weights import convert_weights
from mmwsss.models.losses import PairLabels, pair_affinity_loss, pair_affinity_losses, pair_labels
from mmwsss.ops import (
    feature_affinity,
    fuse_affinity_scores,
    half_disc_offsets,
    path_cells,
    path_maximum,
)
from tests.loading import load_file

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference'
SYNTH = load_file(REFERENCE / 'synth_weights.py')
TOLERANCE = dict(rtol=1e-3, atol=1e-4)


def load(name):
    with np.load(REFERENCE / f'{name}.npz') as file:
        return {
            key: value
            if value.dtype.kind == 'U' or value.dtype == np.uint64
            else torch.from_numpy(value)
            for key, value in file.items()
        }


def build(config, spec, rename, shapes):
    """Build a public config with synthetic published weights under this project's names."""
    weights = SYNTH.synth_state_dict(REFERENCE / f'{spec}.spec.json', 2022)
    weights = {name: torch.from_numpy(value) for name, value in weights.items()}
    cfg = Config.fromfile(ROOT / config, import_custom_modules=False)
    init_default_scope(cfg.default_scope)  # tests set it one by one, after this
    model = MODELS.build(cfg.model)
    model.load_state_dict(convert_weights(weights, rename, shapes(), spec), strict=True)
    return model.eval(), cfg


@pytest.fixture(scope='module')
def affinitynet():
    """AffinityNet and its config."""
    return build(
        'configs/affinitynet/affinitynet_r38_voc.py',
        'seam/affinitynet_resnet38',
        AFFINITYNET,
        affinitynet_shapes,
    )


@pytest.fixture(scope='module')
def irn():
    """IRN's boundary branch and its config."""
    return build(
        'configs/irn/irn_r50_voc.py',
        'semformer/affinitynet_resnet50',
        IRN,
        irn_shapes,
    )


def irn_order(radius):
    """Return the places of the directions in the published order: by the length of the path."""
    lengths = [len(path_cells(dy, dx)) for dy, dx in half_disc_offsets(radius).tolist()]
    return sorted(range(len(lengths)), key=lengths.__getitem__)


def samples(label_maps):
    out = []
    for label_map in label_maps:
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=label_map[None].long())
        out.append(sample)
    return out


def check_sums(x, data, name, step):
    """Compare shape, sums and every n-th entry."""
    assert tuple(x.shape) == tuple(data[f'{name}_shape'].tolist())
    torch.testing.assert_close(x.flatten()[::step], data[f'{name}_sample'], **TOLERANCE)
    for value, key in ((x.double().sum(), 'sum'), (x.double().square().sum(), 'sumsq')):
        torch.testing.assert_close(value, data[f'{name}_{key}'].double(), rtol=1e-4, atol=1e-3)


def check_grads(model, names, norms, rename):
    parameters = dict(model.named_parameters())
    found = [parameters[rename(str(name))].grad.norm().item() for name in names]
    assert found == pytest.approx([float(x) for x in norms], rel=1e-3, abs=1e-6)


# AffinityNet


@pytest.mark.parametrize('case', ['a', 'b'])
def test_affinitynet_pairs(affinitynet, case):
    data = load('seam/affinitynet')
    with torch.no_grad():
        features = affinitynet[0](data[f'{case}_input'], mode='tensor')['features']
    affinity = feature_affinity(features, int(data[f'{case}_radius']))
    check_sums(affinity.flatten(2), data, f'{case}_pairs', 17)


def test_affinitynet_training_step(affinitynet):
    data, model = load('seam/affinitynet'), affinitynet[0]
    model.zero_grad()
    losses = model(data['train_input'], samples(data['label_maps']), mode='loss')
    assert set(losses) == {'loss_affinity'}
    loss = losses['loss_affinity']
    torch.testing.assert_close(loss.double(), data['train_loss'].double(), rtol=1e-4, atol=0)
    loss.backward()
    names = data['train_grad_names']
    check_grads(model, names, data['train_grad_norms'], AFFINITYNET)
    model.zero_grad()


def test_affinitynet_losses_on_stored_affinities():
    data = load('seam/affinitynet')
    labels = PairLabels(*(data[f'label_{kind}'].bool() for kind in ('bg', 'fg', 'neg')))
    counts = [int(mask.sum()) + 1e-5 for mask in labels]
    expected = [data[f'train_{kind}_count'].item() for kind in ('bg', 'fg', 'neg')]
    assert counts == pytest.approx(expected, abs=1e-4)
    losses = pair_affinity_losses(data['train_aff'], labels)
    expected = torch.stack([data[f'train_{kind}_loss'] for kind in ('bg', 'fg', 'neg')])
    torch.testing.assert_close(losses.double(), expected, rtol=1e-5, atol=0)
    total = pair_affinity_loss(data['train_aff'], labels).double()
    torch.testing.assert_close(total, data['train_loss'], rtol=1e-5, atol=0)


def test_affinitynet_pair_labels():
    data = load('seam/affinitynet')
    labels = pair_labels(data['label_maps'], 5)
    for found, kind in zip(labels, ('bg', 'fg', 'neg'), strict=True):
        assert torch.equal(found.flatten(2), data[f'label_{kind}'].bool())


def test_affinitynet_label_of_scores():
    data = load('seam/affinitynet')
    assert torch.equal(
        fuse_affinity_scores(data['fuse_low'], data['fuse_high']), data['fuse_label']
    )
    # what a file holds of the scores, 256 levels, gives the same label
    low, high = ((data[f'fuse_{kind}'] * 255).round() / 255 for kind in ('low', 'high'))
    assert torch.equal(fuse_affinity_scores(low, high), data['fuse_label'])


# IRN


def test_irn_losses_and_gradient():
    data = load('semformer/affinity')
    edge = data['edge'].requires_grad_()
    affinity = 1 - path_maximum(edge, 5)
    labels = pair_labels(data['label_map'], 5)
    order = irn_order(5)
    torch.testing.assert_close(affinity.flatten(2)[:, order], data['affinity'], rtol=1e-6, atol=0)
    for found, kind in zip(labels, ('bg_pos', 'fg_pos', 'neg'), strict=True):
        assert torch.equal(found.flatten(2)[:, order], data[f'{kind}_label'].bool())
    losses = pair_affinity_losses(affinity, labels)
    total = pair_affinity_loss(affinity, labels)
    found = torch.cat([losses, total[None]]).double()
    torch.testing.assert_close(found, data['losses'], rtol=1e-5, atol=0)
    total.backward()
    torch.testing.assert_close(edge.grad, data['grad_edge'], rtol=1e-3, atol=1e-6)


def test_irn_training_step(irn):
    data, model = load('semformer/affinity_edge'), irn[0]
    logits = model(data['train_images'], mode='tensor')['edge_logits']
    torch.testing.assert_close(logits, data['train_edge_logits'], **TOLERANCE)
    labels = pair_labels(data['train_label_map'], 10)
    assert [int(mask.sum()) for mask in labels] == data['label_counts'].tolist()
    affinity = 1 - path_maximum(logits.sigmoid(), 10)
    sums = affinity.flatten(2).sum(1)
    torch.testing.assert_close(sums, data['affinity_sum'], rtol=1e-3, atol=1e-3)
    losses = pair_affinity_losses(affinity, labels).double()
    torch.testing.assert_close(losses, data['losses'][:3], rtol=1e-4, atol=0)
    model.zero_grad()
    # the mode changes nothing: norms of the backbone keep their statistics
    model.train()
    loss = model(data['train_images'], samples(data['train_label_map']), mode='loss')
    model.eval()
    total = loss['loss_affinity']
    torch.testing.assert_close(total.double(), data['losses'][3], rtol=1e-4, atol=0)
    total.backward()
    names = json.loads(str(data['settings']))['grad_names']
    check_grads(model, names, data['grad_norms'], IRN)
    assert all(p.grad is None for p in model.backbone.parameters())
    model.zero_grad()


def test_irn_boundary_of_an_image(irn, tmp_path, monkeypatch):
    """From the file through the pipeline, padded to 128 instead of 512 as in the fixture."""
    data, (model, cfg) = load('semformer/affinity_edge'), irn
    path = tmp_path / 'image.png'
    Image.fromarray(data['image'].numpy()).save(path)
    info = dict(img_path=str(path), gt_label=[], num_classes=21, seg_fields=[])
    batch = pseudo_collate([Compose(cfg.test_pipeline)(info)])
    assert model.data_preprocessor.test_cfg == dict(size=(512, 512))
    pad_to = json.loads(str(data['settings']))['pad_to']
    monkeypatch.setattr(model.data_preprocessor, 'test_cfg', dict(size=pad_to))
    with torch.no_grad():
        inputs = model.data_preprocessor(batch)['inputs']
        logits = model(inputs, mode='tensor')['edge_logits']
        sample = model.test_step(batch)[0]
    torch.testing.assert_close(logits, data['edge_logits'][:1], **TOLERANCE)
    torch.testing.assert_close(sample.edge.data, data['edge'], **TOLERANCE)
