"""SemFormer against the numbers of the published implementation, through the converter."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image

from mmwsss.models import CAMTTAModel
from mmwsss.models.converters.semformer import CAAE, SEMFORMER
from mmwsss.models.losses import pull_push_losses, similarity_loss
from mmwsss.models.segmentors.semformer_pairs import present_pairs, resized_valid_mask
from mmwsss.ops import clamped_cosine
from tests.loading import load_file, run_main

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference'
TOLERANCE = dict(rtol=1e-3, atol=1e-4)


def load(name):
    with np.load(REFERENCE / f'semformer/{name}.npz') as file:
        settings = json.loads(str(file['settings']))
        return {k: torch.from_numpy(file[k]) for k in file if k != 'settings'}, settings


def samples(labels, boxes=None):
    """Make samples with the foreground labels of each image."""
    out = []
    for i, label in enumerate(labels):
        sample = SegDataSample(metainfo={} if boxes is None else dict(valid_box=boxes[i]))
        sample.set_data(dict(gt_score=label[1:], gt_label=label[1:].nonzero().flatten()))
        out.append(sample)
    return out


@pytest.fixture(scope='module')
def converted(tmp_path_factory):
    """Put published weights at DeiT-Tiny's width through the tool, both parts."""
    folder = tmp_path_factory.mktemp('converted')
    synth = load_file(REFERENCE / 'synth_weights.py')
    tool = 'tools/model_converters/semformer2mmwsss.py'
    for part, name in dict(
        caae='caae_deit_tiny_distilled', segmentor='semformer_deit_tiny'
    ).items():
        weights = synth.synth_state_dict(REFERENCE / f'semformer/{name}.spec.json', 2022)
        weights = {f'module.{name}': torch.from_numpy(value) for name, value in weights.items()}
        torch.save(weights, folder / 'published.pth')
        run_main(tool, folder / 'published.pth', folder / f'{part}.pth', '--part', part)
    return folder


@pytest.fixture(scope='module')
def caae(converted):
    """Build the public auto-encoder at DeiT-Tiny's width."""
    init_default_scope('mmseg')  # tests set it one by one, after this
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/caae_deit-b.py').model
    cfg.backbone.update(embed_dims=192, num_heads=3, init_cfg=None)
    cfg.embed_head.update(in_channels=192, embed_channels=32)
    cfg.decoder.update(embed_dims=192, num_layers=2, num_heads=3)
    model = MODELS.build(cfg)
    load_checkpoint(model, str(converted / 'caae.pth'), strict=True)
    return model.eval()


@pytest.fixture(scope='module')
def cfg():
    return Config.fromfile(ROOT / 'configs/semformer/semformer_deit-s_voc.py')


@pytest.fixture(scope='module')
def semformer(cfg, converted):
    """Build the public segmentation network at DeiT-Tiny's width, without dropout."""
    init_default_scope('mmseg')
    model = copy.deepcopy(cfg.model)
    model.backbone.update(embed_dims=192, num_heads=3, img_size=112, init_cfg=None)
    model.cam_head.update(in_channels=192, dropout=0.0)
    model.caae.backbone.update(embed_dims=192, num_heads=3)
    model.caae.embed_head.update(in_channels=192, embed_channels=32)
    model.caae.init_cfg.checkpoint = str(converted / 'caae.pth')
    model.caae_size = 64
    network = MODELS.build(model)
    load_checkpoint(network, str(converted / 'segmentor.pth'), strict=True)
    return network.eval()


def test_published_weights_take_the_configs_place(caae):
    """Names and shapes of the full size, which no weight is left out of."""
    path = REFERENCE / 'semformer/caae_deit_base_distilled.spec.json'
    spec = json.loads(path.read_text())
    unused = ('model.dist_token', 'model.head_dist.weight', 'model.head_dist.bias')
    published = {
        CAAE(name): tuple(shape) for name, shape in spec.items() if not name.endswith(unused)
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
    names = [CAAE(name) for name in settings['grad_names']]
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


# the second stage

LOSSES = ('loss_ss', 'loss_cf', 'loss_cb', 'loss_as', 'loss_ac')  # in the order of the numbers


@pytest.fixture(scope='module')
def step():
    """Return the numbers of the training step and its samples."""
    data, settings = load('semformer_train_step')
    boxes = data['crop_regions'][:, [1, 0, 3, 2]].tolist()
    return data, settings, samples(data['labels'], boxes)


def test_published_segmentors_take_the_configs_place(cfg):
    """Names and shapes of the full size; the semantics are the auto-encoder's."""
    spec = json.loads((REFERENCE / 'semformer/semformer_deit_small.spec.json').read_text())
    published = {name: tuple(shape) for name, shape in SEMFORMER.renamed(spec).items()}
    assert len(published) == len(spec) - 2
    with torch.device('meta'):
        network = MODELS.build(cfg.model)
    found = {name: tuple(x.shape) for name, x in network.state_dict().items()}
    assert found.pop('class_semantics') == (21, 256)
    assert found == published
    # 24.06 million in Table 9: with the token and the positions of the ViT that take no part
    unused = 384 + 197 * 384
    total = sum(p.numel() for p in network.parameters()) + unused
    assert round(total / 1e6, 2) == 24.06


def test_network_of_a_training_step(semformer, step):
    data, _, _ = step
    with torch.no_grad():
        outputs = semformer(data['images'], mode='tensor')
    assert list(outputs) == ['mask_logits', 'class_embed', 'cra']
    torch.testing.assert_close(outputs['mask_logits'], data['seg_logits'], **TOLERANCE)
    embed = data['seg_class_embeddings']
    torch.testing.assert_close(outputs['class_embed'], embed, **TOLERANCE)
    assert outputs['cra'].shape == outputs['mask_logits'].shape


def masks_of(semformer, step):
    """Return masks and where there is image, made of the stored logits."""
    data, _, batch = step
    valid = resized_valid_mask(batch, (112, 112), semformer.caae_size, 'cpu')
    logits = F.interpolate(data['seg_logits'], (64, 64), mode='bilinear', align_corners=True)
    return logits.sigmoid() * valid, valid


def test_masks(semformer, step):
    data, _, _ = step
    masks, valid = masks_of(semformer, step)
    assert torch.equal(valid[:, 0], data['grad_masks'].bool())
    torch.testing.assert_close(masks, data['masks'], **TOLERANCE)
    images = F.interpolate(data['images'], (64, 64), mode='bilinear', align_corners=True)
    torch.testing.assert_close(images, data['ae_images'], **TOLERANCE)


def test_what_the_auto_encoder_sees(semformer, step):
    data, _, batch = step
    pairs = present_pairs(data['labels'], batch)
    guide = semformer.guide.load()
    images = data['ae_images'][pairs.image]
    shown = data['masks'][pairs.image, pairs.classes][:, None]
    with torch.no_grad():
        seen = guide.embed_head.similarity(
            guide.embed(torch.cat([images * shown, images * (1 - shown)]))
        )
        foreground, background = seen.chunk(2)
        similarity = guide.embed_head.similarity(data['seg_class_embeddings'])
    torch.testing.assert_close(similarity, data['seg_sim'], **TOLERANCE)
    parts = []
    for name, found, pull, push in (
        ('fg', foreground, pairs.own, pairs.others),
        ('bg', background, pairs.others, pairs.own),
    ):
        for kind, chosen in (('pull', pull), ('push', push)):
            expected = data[f'cls_{name}_{kind}_sim']
            torch.testing.assert_close(found[chosen], expected, **TOLERANCE)
        parts += pull_push_losses(found, pull, push)
    expected = data['loss_parts']
    torch.testing.assert_close(torch.stack(parts).double(), expected, rtol=1e-4, atol=0)


def test_losses_of_a_training_step(semformer, step):
    data, settings, batch = step
    semformer.train()
    losses = semformer(data['images'], batch, mode='loss')
    semformer.eval()
    assert set(losses) == set(LOSSES)
    weights = [
        settings['weights'][name.removesuffix('_loss')] for name in settings['loss_order'][:5]
    ]
    found = torch.stack([losses[name] for name in LOSSES]).double()
    expected = data['losses']
    torch.testing.assert_close(
        found / torch.tensor(weights).double(), expected[:5], rtol=1e-4, atol=0
    )
    torch.testing.assert_close(found.sum(), expected[5], rtol=1e-4, atol=0)
    parameters = dict(semformer.named_parameters())
    chosen = [parameters[SEMFORMER(name)] for name in settings['grad_names']]
    norms = []
    for loss in (*(losses[name] for name in LOSSES), sum(losses.values())):
        grads = torch.autograd.grad(loss, chosen, retain_graph=True, allow_unused=True)
        norms.append([0.0 if x is None else x.norm().item() for x in grads])
    norms = torch.tensor(norms).double()
    expected = data['grad_norms_per_loss'] * torch.tensor(weights).double()[:, None]
    torch.testing.assert_close(norms[:5], expected, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(norms[5], data['grad_norms'], rtol=1e-3, atol=1e-6)


def test_two_updates(semformer, step, cfg):
    data, settings, batch = step
    network = copy.deepcopy(semformer)
    wrapper = build_optim_wrapper(network, cfg.optim_wrapper)
    schedule = copy.deepcopy(cfg.param_scheduler[0])
    schedule.update(optimizer=wrapper.optimizer, end=settings['update_max_step'] + 1)
    scheduler = PARAM_SCHEDULERS.build(schedule)
    parameters = dict(network.named_parameters())
    chosen = [parameters[SEMFORMER(name)] for name in settings['grad_names']]
    rates = {p: g for g in wrapper.param_groups for p in g['params']}
    factors = [settings['lr_multipliers'][group] for group in settings['grad_group']]
    assert [rates[p]['initial_lr'] / settings['lr'] for p in chosen] == pytest.approx(factors)
    assert [rates[p]['weight_decay'] > 0 for p in chosen] == [
        group in (0, 2) for group in settings['grad_group']
    ]
    sum(network.train()(data['images'], batch, mode='loss').values()).backward()
    for expected in data['update_norms']:
        before = [p.detach().clone() for p in chosen]
        wrapper.step()
        scheduler.step()
        moved = torch.stack([(p - b).norm() for p, b in zip(chosen, before, strict=True)])
        torch.testing.assert_close(moved.double(), expected, rtol=1e-3, atol=1e-6)


def test_learning_rate_of_the_whole_training(step, cfg):
    data, settings, _ = step
    assert cfg.train_cfg.max_iters == settings['sched_max_step']
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler[0], optimizer=optimizer))
    optimizer.step()
    factors = []
    for _ in range(int(data['sched_steps'].max()) + 1):
        factors.append(optimizer.param_groups[0]['lr'])
        scheduler.step()
    found = torch.tensor(factors).double()[data['sched_steps']]
    torch.testing.assert_close(found, data['sched_factor'], rtol=1e-6, atol=0)


# its maps


@pytest.fixture(scope='module')
def views(cfg, tmp_path_factory):
    """Return the batch that the config makes of the image, plain and mirrored, four scales."""
    init_default_scope('mmseg')
    data, _ = load('semformer_cam')
    path = tmp_path_factory.mktemp('image') / 'image.png'
    Image.fromarray(data['image'].numpy()).save(path)
    pipeline = copy.deepcopy(cfg.tta_pipeline)
    transforms = pipeline[-1].transforms
    pipeline[-1].transforms = [t for t in transforms if t[0].type != 'LoadMaskChecked']
    label = data['labels'].nonzero().flatten().tolist()
    info = dict(img_path=str(path), gt_label=label, num_classes=21, seg_fields=[])
    return data, pseudo_collate([Compose(pipeline)(info)])


@pytest.fixture(scope='module')
def view_maps(semformer, views):
    """Return the maps of each view, mirrored ones turned back."""
    _, batch = views
    maps = []
    for inputs, view in zip(batch['inputs'], batch['data_samples'], strict=True):
        x = semformer.data_preprocessor(dict(inputs=inputs, data_samples=view))['inputs']
        with torch.no_grad():
            found = semformer.predict_maps(x)[0]
        maps.append(found.flip(3) if view[0].flip else found)
    return maps


@pytest.mark.parametrize(('index', 'name'), [(0, '050'), (2, '100'), (4, '150'), (6, '200')])
def test_sizes_and_pixels_of_the_views(views, index, name):
    data, batch = views
    images = [batch['inputs'][i][0].flip(0).permute(1, 2, 0).int() for i in (index, index + 1)]
    expected = data[f'resized_{name}'].int()
    assert (images[0] - expected).abs().max() <= 1
    assert torch.equal(images[1], images[0].flip(1))


def normalised(semformer, image):
    """Put an image of RGB bytes through the preprocessor."""
    batch = dict(inputs=[image.flip(2).permute(2, 0, 1)], data_samples=None)
    return semformer.data_preprocessor(batch)['inputs']


def test_class_relation_attention(semformer):
    data, _ = load('semformer_cam')
    inputs = normalised(semformer, data['resized_100'])
    inputs = torch.cat([inputs, inputs.flip(3)])
    with torch.no_grad():
        outputs, attentions = semformer.encode(inputs, attention='class')
        cra = semformer(inputs, mode='tensor')['cra']
        maps = semformer.predict_maps(inputs)[0]
    torch.testing.assert_close(outputs['mask_logits'], data['seg_logits_100'], **TOLERANCE)
    layers = torch.stack(attentions).mean(dim=2)
    torch.testing.assert_close(layers, data['cra_layers_100'], **TOLERANCE)
    torch.testing.assert_close(layers.sum(dim=0), data['cra_sum_100'], **TOLERANCE)
    torch.testing.assert_close(cra.flatten(2), data['cra_norm_100'], **TOLERANCE)
    maps[1] = maps[1].flip(2)
    torch.testing.assert_close(maps, data['scale_cam_100'], **TOLERANCE)


def test_maps_without_class_relation_attention(semformer, monkeypatch):
    """What the published training chooses its checkpoint by."""
    data, _ = load('semformer_cam')
    monkeypatch.setattr(semformer, 'cra_blocks', 0)
    with torch.no_grad():
        cam = semformer.predict_maps(normalised(semformer, data['resized_100']))[0]
    found = (cam - 1e-5).relu() / (cam.amax(dim=(2, 3), keepdim=True) + 1e-5)
    torch.testing.assert_close(found, data['val_cam_100'], **TOLERANCE)


def resized_sum(maps, size):
    return sum(F.interpolate(x, size, mode='bilinear', align_corners=False)[0] for x in maps)


def test_strided_maps(semformer, view_maps):
    data, settings = load('semformer_cam')
    classes = data['keys'][1:] - 1
    summed = resized_sum(view_maps, settings['strided_size'])[classes]
    torch.testing.assert_close(semformer.normalize_cams(summed), data['cam'], **TOLERANCE)


def test_published_maps_at_full_size_are_shifted(semformer, view_maps):
    data, settings = load('semformer_cam')
    classes = data['keys'][1:] - 1
    shifted = resized_sum(view_maps, settings['strided_up_size'])[classes][:, :70, :90]
    torch.testing.assert_close(semformer.normalize_cams(shifted), data['hr_cam'], **TOLERANCE)


def test_multi_scale_maps_lie_on_the_image(semformer, views, view_maps):
    """Ours are the same maps, brought to the size of the image without the published shift."""
    data, batch = views
    with torch.no_grad():
        (sample,) = CAMTTAModel(module=semformer).test_step(batch)
    classes = data['keys'][1:] - 1
    found = sample.seg_logits.data[1:][classes]
    expected = semformer.normalize_cams(resized_sum(view_maps, (70, 90))[classes])
    # bilinear twice, by way of the size that the network sees
    assert (found - expected).abs().max() < 0.02
    shift = (found - data['hr_cam']).abs().max()
    assert shift > 0.05
    assert sample.pred_score.shape == (20,)
    absent = torch.ones(20, dtype=torch.bool)
    absent[classes] = False
    assert (sample.seg_logits.data[1:][absent] == -1).all()


def test_the_walk_starts_close_to_the_published_maps(semformer, views):
    """It takes the maps of the image's size, the published one those summed at a quarter."""
    data, batch = views
    with torch.no_grad():
        (sample,) = CAMTTAModel(module=semformer).test_step(batch)
    maps = sample.seg_logits.data[1:][data['keys'][1:] - 1]
    cells = F.interpolate(maps[None], data['cam'].shape[1:], mode='bilinear')[0]
    difference = (cells / cells.amax(dim=(1, 2), keepdim=True) - data['cam']).abs().max()
    assert 0.01 < difference < 0.031  # as docs/semformer.md says


def test_evaluation_label():
    data, settings = load('semformer_cam')
    scores = F.pad(data['hr_cam'], (0, 0, 0, 0, 1, 0), value=settings['eval_threshold'])
    label = scores.argmax(dim=0)
    assert torch.equal(label, data['eval_label'].long())
    # the smallest value in the square; the border of the image does not erode
    region = F.one_hot(label, 3).permute(2, 0, 1)[1:].float()
    side = settings['eval_erosion']
    kept = -F.max_pool2d(-region, side, stride=1, padding=side // 2)
    eroded = (kept * torch.tensor([1, 2]).view(2, 1, 1)).sum(dim=0)
    assert torch.equal(eroded.long(), data['eval_label_eroded'].long())
