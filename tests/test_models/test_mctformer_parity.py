"""MCTformer against the numbers of the published implementation, through tool and configs."""

import copy
import json

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmseg.registry import MODELS
from PIL import Image

from mmwsss.models import CAMTTAModel, CAMWalk
from mmwsss.models.backbones.token_vit import resize_positions
from mmwsss.models.converters.mctformer import MCTFORMER, split_mctformer_tokens
from mmwsss.models.converters.vit import VIT, split_vit_tokens
from mmwsss.models.heads import ranking_pooling
from mmwsss.models.losses import contrastive_class_token_loss
from tests.loading import ROOT
from tests.mctformer_reference import (
    REFERENCE,
    VERSIONS,
    build,
    convert,
    load,
    normalised,
    public_config,
    published_weights,
    samples,
)

pytestmark = pytest.mark.stack
# of what is not named here: rtol 1e-3, atol 1e-4
ATOL = dict(
    class_attention=1e-6, attention_layers=1e-6, patch_affinity=1e-5, class_tokens=1e-3
)  # fmt: skip


def close(found, expected, atol=1e-4, rtol=1e-3):
    torch.testing.assert_close(found.to(expected.dtype), expected, rtol=rtol, atol=atol)


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp('converted')
    return {version: convert(version, folder) for version in VERSIONS}


@pytest.fixture(scope='module')
def models(checkpoints):
    """Build the public models once; tests leave them as they are."""
    return {version: build(version, path) for version, path in checkpoints.items()}


@pytest.mark.parametrize('version', VERSIONS)
def test_published_weights_take_the_configs_place(version):
    """Names and shapes of the full size, and the numbers of parameters that papers count."""
    path = REFERENCE / f'mctformer/{version}_deit_small.spec.json'
    spec = {name: torch.empty(shape) for name, shape in json.loads(path.read_text()).items()}
    published = MCTFORMER.renamed(split_mctformer_tokens(spec))
    init_default_scope('mmseg')
    with torch.device('meta'):
        cfg = public_config(version).model
        cfg.backbone.update(embed_dims=384, num_heads=6, img_size=448 if 'p' in version else 224)
        network = MODELS.build(cfg)
    found = {name: x.shape for name, x in network.state_dict().items()}
    assert found == {name: x.shape for name, x in published.items()}
    unread = sum(x.numel() for x in spec.values()) - sum(x.numel() for x in published.values())
    number = sum(p.numel() for p in network.parameters()) + unread
    assert round(number / 1e6, 2) == dict(v1=21.69, v2=21.75, plus=22.05)[version]


FORWARDS = [
    (version, size)
    for version in VERSIONS
    for size in ('native', 'even', 'odd')
    if (version, size) != ('v1', 'native')
]


@pytest.mark.parametrize(('version', 'size'), FORWARDS)
def test_forward(models, version, size):
    data, _ = load(f'{version}_forward')
    model = models[version]
    inputs = normalised(model, data[f'{size}_images'])
    with torch.no_grad():
        outputs = model(inputs, mode='tensor')
        outputs['image_logits'] = model.predict_maps(inputs)[1]
        attentions = model.backbone.encode(inputs, attention='mean').attentions
    number = model.backbone.num_class_tokens
    outputs['attention_layers'] = torch.stack([x[:, :number] for x in attentions])
    names = {n.removeprefix(f'{size}_') for n in data if n.startswith(size)} - {'images'}
    assert names <= set(outputs)
    for name in names:
        close(outputs[name], data[f'{size}_{name}'], ATOL.get(name, 1e-4))


def test_names_of_the_tensors(models):
    inputs = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        names = {version: set(models[version](inputs, mode='tensor')) for version in VERSIONS}
    v1 = {'class_logits', 'class_attention', 'cam', 'patch_affinity', 'refined_cam'}
    patch = {'patch_logits', 'patch_cam'}
    assert names == dict(v1=v1, v2=v1 | patch, plus=v1 | patch | {'class_tokens'})


# losses


@pytest.mark.parametrize(('name', 'decay'), [
    *(('rank', d) for d in (0.996, 0.9, 0.0, 1.0)), ('rank_square', 0.996)
])  # fmt: skip
def test_ranking_pooling(name, decay):
    data, _ = load('losses')
    maps = data[f'{name}_maps'].requires_grad_()
    pooled = ranking_pooling(maps.flatten(2).transpose(1, 2), decay=decay)
    key = f'{round(1000 * decay):04}'
    close(pooled.detach(), data[f'{name}_logits_{key}'])
    (grad,) = torch.autograd.grad((pooled * data[f'{name}_coeff']).sum(), maps)
    close(grad, data[f'{name}_grad_{key}'], 1e-7)


@pytest.mark.parametrize('case', [0, 1, 2])
def test_contrast_with_the_losses_of_the_tags(case):
    data, settings = load('losses')
    tokens, scores, patch = (
        data[f'cct_{name}'].requires_grad_() for name in ('tokens', 'scores', 'patch')
    )
    labels, chosen = data['cct_labels'], settings['cct_cases'][case]
    contrast = contrastive_class_token_loss(tokens[-chosen['num_blocks'] :], labels)
    cls, patch_loss = (F.multilabel_soft_margin_loss(x, labels) for x in (scores, patch))
    total = cls + chosen['weight'] * contrast + patch_loss
    found = torch.stack([cls, contrast, patch_loss, total]).detach()
    close(found, data['cct_losses'][case], 1e-6, 1e-4)
    grads = torch.autograd.grad(total, (scores, tokens, patch))
    if case == 0:
        for name, grad in zip(('scores', 'tokens', 'patch'), grads, strict=True):
            close(grad, data[f'cct_grad_{name}'], 1e-7)
    if case == 1:
        close(grads[1].flatten(1).norm(dim=1), data['cct_grad_tokens_norms_3'], 1e-7)


def published_grads(model):
    """Return gradients under the published names, tables joined as V1 and V2 have them."""
    grads = {name: p.grad for name, p in model.named_parameters()}
    return lambda name: grads[MCTFORMER(name)]


@pytest.mark.parametrize(('version', 'weight'), [(v, 1.0) for v in VERSIONS] + [('plus', 0.0)])
def test_training_step(checkpoints, version, weight):
    data, settings = load(f'{version}_train')
    model = build(version, checkpoints[version])
    if version == 'plus':
        loss = dict(type='ContrastiveClassTokenLoss', loss_weight=weight)
        model = build(version, checkpoints[version], loss_contrast=loss)
    losses = model.train()(normalised(model, data['images']), samples(data['labels']), mode='loss')
    order = dict({'class': 'loss_cls'}, contrast='loss_contrast', patch='loss_patch')
    total = sum(losses.values())
    found = [losses.get(order[name], total * 0) for name in settings['loss_order'][:-1]]
    if weight:
        found = torch.stack([*found, total]).detach()
        close(found, data['losses'], 1e-6, 1e-4)
    total.backward()
    suffix = '' if weight else '_no_contrast'
    grad = published_grads(model)
    norms = []
    for name in settings['grad_names']:
        if name == 'norm.weight' or (name == 'pos_embed' and version == 'plus'):
            norms.append(torch.zeros(()))  # there is none: nothing reads it
        elif name == 'pos_embed':
            norms.append(torch.cat([grad('class_pos_embed'), grad('pos_embed')], dim=1).norm())
        else:
            name = dict(pos_embed_cls='class_pos_embed', pos_embed_pat='pos_embed').get(name, name)
            norms.append(grad(name.replace('cls_token', 'class_tokens')).norm())
    close(torch.stack(norms), data[f'grad_norms{suffix}'], 1e-6)
    whole = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    close(whole, data[f'grad_norm_all{suffix}'], 1e-6)
    if weight:
        close(grad('class_tokens')[0], data['grad_cls_token'], 1e-5)
        if version == 'v1':
            close(grad('class_pos_embed')[0], data['grad_pos_class'], 1e-5)
        else:
            close(grad('head.bias'), data['grad_head_bias'], 1e-5)


@pytest.mark.parametrize('version', VERSIONS)
def test_scores_of_a_training_step(models, version):
    data, _ = load(f'{version}_train')
    with torch.no_grad():
        outputs = models[version](normalised(models[version], data['images']), mode='tensor')
    for name in {'class_logits', 'patch_logits'} & data.keys():
        close(outputs[name], data[name])


# positions, start weights, schedule


@pytest.mark.parametrize(('version', 'offset'), [('v2', 0.1), ('plus', 0.0)])
def test_positions_of_other_sizes(version, offset):
    data, _ = load('schedule_init')
    table = data[f'{version}_positions']
    side = round(table.shape[1] ** 0.5)
    names = [name for name in data if name.startswith(f'{version}_positions_')]
    assert len(names) == 4
    for name in names:
        size = tuple(map(int, name.rsplit('_', 1)[1].split('x')))
        # the table itself for images of its size
        part = 0.0 if size == (side, side) else offset
        found = resize_positions(table, (side, side), size, offset=part)
        close(found, data[name], 1e-5, 1e-4)


@pytest.mark.parametrize('version', ['v2', 'plus'])
@pytest.mark.parametrize('number', [61, 115, 122])
def test_positions_of_any_number_of_patches(models, version, number):
    backbone = models[version].backbone
    with torch.no_grad():
        assert backbone._embed(torch.zeros(1, 3, 16, 16 * number))[1] == (1, number)


@pytest.mark.parametrize(('version', 'side'), [('v2', 112), ('plus', 128)])
def test_start_weights(tmp_path, version, side):
    data, _ = load('schedule_init')
    weights = split_vit_tokens(published_weights(f'deit_start_{version}'), 1)
    torch.save(VIT.renamed(weights), tmp_path / 'deit.pth')
    init_default_scope('mmseg')
    cfg = public_config(version, side).model
    cfg.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'deit.pth'))
    model = MODELS.build(cfg)
    model.init_weights()
    backbone = model.backbone
    found = dict(
        cls_token=backbone.class_tokens[0, :3], pos_embed_cls=backbone.class_pos_embed[0, :3]
    )
    found['pos_embed_pat'] = backbone.pos_embed
    found['pos_embed'] = torch.cat([backbone.class_pos_embed, backbone.pos_embed], dim=1)
    found['block'] = backbone.layers[1].attn.qkv.weight.norm(dim=1)
    names = [name for name in data if name.startswith(f'{version}_start_')]
    assert len(names) >= 3
    for name in names:
        close(found[name.removeprefix(f'{version}_start_')].detach(), data[name], 1e-5, 1e-4)


@pytest.mark.parametrize('version', ['v2', 'plus'])
def test_learning_rate_of_every_epoch(version):
    data, _ = load('schedule_init')
    cfg = public_config(version)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=cfg.optim_wrapper.optimizer.lr)
    scheduler = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler[0], optimizer=optimizer))
    optimizer.step()
    rates = []
    for _ in range(cfg.train_cfg.max_iters):
        rates.append(optimizer.param_groups[0]['lr'])
        scheduler.step()
    expected = data[f'{version}_lr']
    found = torch.tensor(rates, dtype=torch.float64)
    close(found, expected.repeat_interleave(cfg.epoch), 0, 1e-6)


@pytest.mark.parametrize('version', ['v2', 'plus'])
def test_what_decays(models, version):
    _, settings = load('schedule_init')
    settings, cfg = settings[version], public_config(version)
    model = copy.deepcopy(models[version])
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    group = optimizer.defaults
    assert list(group['betas']) == settings['betas'] and group['eps'] == settings['eps']
    decays = {p: g['weight_decay'] for g in optimizer.param_groups for p in g['params']}
    assert {g['lr'] for g in optimizer.param_groups} == {settings['base_lr']}
    names = {p: name for name, p in model.named_parameters()}
    found = {names[p]: decay for p, decay in decays.items()}
    tables = dict(cls_token='class_tokens', pos_embed_cls='class_pos_embed')
    tables['pos_embed_pat'] = 'pos_embed'
    for kind, decay in (('decay', 0.05), ('no_decay', 0.0)):
        for name in settings[kind]:
            if name.startswith('norm.') or (name == 'pos_embed' and version == 'plus'):
                continue  # nothing reads them
            assert found[MCTFORMER(tables.get(name, name))] == decay, name
    if version == 'v2':
        assert found['backbone.class_pos_embed'] == 0


# maps


def views(version, number, folder):
    """Return the batch of all views that the config makes of an image, and the reference."""
    data, _ = load('maps')
    path = folder / f'{number}.png'
    Image.fromarray(data[f'image_{number}'].numpy()).save(path)
    pipeline = copy.deepcopy(public_config(version).tta_pipeline)
    transforms = pipeline[-1].transforms
    pipeline[-1].transforms = [t for t in transforms if t[0].type != 'LoadMaskChecked']
    label = data[f'keys_{number}'].tolist()
    info = dict(img_path=str(path), gt_label=label, num_classes=21, seg_fields=[])
    return data, pseudo_collate([Compose(pipeline)(info)])


CASES = [(version, number) for version in VERSIONS for number in (1, 2)]


@pytest.mark.parametrize(('version', 'number'), CASES)
def test_maps_of_each_view(models, tmp_path, version, number):
    data, batch = views(version, number, tmp_path)
    keys, model = data[f'keys_{number}'], models[version]
    scales = ('100', '075', '125') if version == 'plus' else ('100',)
    names = [f'{number}_{scale}{flip}' for scale in scales for flip in ('', '_flip')]
    assert len(names) == len(batch['inputs'])
    for name, inputs, view in zip(names, batch['inputs'], batch['data_samples'], strict=True):
        image = inputs[0].flip(0).permute(1, 2, 0)
        if f'resized_{name}' in data:
            assert (image.int() - data[f'resized_{name}'].int()).abs().max() <= 1
        x = model.data_preprocessor(dict(inputs=inputs, data_samples=view))['inputs']
        with torch.no_grad():
            maps = model.predict_maps(x)[0][0, keys]
        close(maps, data[f'{version}_refined_{name}'])


@pytest.mark.parametrize(('version', 'number'), CASES)
def test_published_maps_are_stretched(checkpoints, tmp_path, version, number):
    data, batch = views(version, number, tmp_path)
    model = build(version, checkpoints[version], stretch_maps=True)
    with torch.no_grad():
        (sample,) = CAMTTAModel(module=model).test_step(batch)
    keys = data[f'keys_{number}']
    expected = data[f'{version}_cams_{number}']
    close(sample.seg_logits.data[1:][keys], expected)
    close(model.normalize_cams(sample.cams.data[keys]), expected)


@pytest.mark.parametrize(('version', 'number'), CASES)
def test_maps_lie_on_the_image(models, tmp_path, version, number):
    """They are the published ones where no pixel is cut off, else shifted against them."""
    data, batch = views(version, number, tmp_path)
    with torch.no_grad():
        (sample,) = CAMTTAModel(module=models[version]).test_step(batch)
    found = sample.seg_logits.data[1:][data[f'keys_{number}']]
    difference = (found - data[f'{version}_cams_{number}']).abs().max()
    if number == 2 and version != 'plus':
        assert difference < 1e-4
    else:
        assert difference > 0.02


# what follows


def test_walk_with_a_constant_background():
    data, settings = load('walk')
    cfg = Config.fromfile(ROOT / 'configs/affinitynet/affinitynet_r38_5e_voc.py')
    walk = MODELS.build(cfg.walk)
    assert isinstance(walk, CAMWalk) and walk.bg_score == settings['bg_score']
    assert (walk.beta, walk.num_steps, walk.radius) == (8, 64, 5)
    cams = data['walk_cams'][None]
    walked = walk(None, cams, data['walk_features'])[0]
    background, *maps = data['walk_maps'][:, :70, :90]
    maps = torch.stack(maps)
    close(walked, maps / (maps.amax(dim=0) + background))
    scores = torch.cat([torch.full_like(walked[:1], 0.5), walked])
    label = F.pad(data['walk_keys'] + 1, (1, 0))[scores.argmax(dim=0)]
    assert (label != data['walk_label']).float().mean() <= 0.001
    # what lies between, of the same parts
    planes = torch.cat([torch.full_like(cams[:, :1], 0.39), cams], dim=1)
    cells = F.avg_pool2d(F.pad(planes, (0, 6, 0, 2)), 8)
    coarse = super(CAMWalk, walk).forward(None, cells, data['walk_features'])
    close(coarse[0], data['walk_coarse'])


class Stub(torch.nn.Module):
    """A convolution in the place of the retrained network."""

    def __init__(self, weight, settings):
        super().__init__()
        self.weight, self.settings = weight, settings

    def decode(self, x):
        return F.conv2d(x, self.weight, stride=self.settings['stride'], padding=2)


def test_scales_of_the_retrained_network():
    data, settings = load('seg_test')
    init_default_scope('mmseg')
    cfg = Config.fromfile(ROOT / 'configs/deeplab_pseudo/deeplabv1-3x3_r38_voc.py')
    assert list(cfg.tta_model.scales) == settings['scales']
    backbone = dict(type='ResNet38d', width=1 / 16, depths=(1,) * 6)
    cfg.model.decode_head.update(in_channels=256, channels=4)
    cfg.model.update(backbone=backbone)
    views = MODELS.build(dict(cfg.tta_model, module=cfg.model))
    preprocessor = views.module.data_preprocessor
    image = data['seg_image'].flip(2).permute(2, 0, 1)
    inputs = preprocessor(dict(inputs=[image], data_samples=None))['inputs']
    assert inputs.shape[2:] == image.shape[1:]
    views.module = Stub(data['seg_weight'], settings)
    logits = views.merged_logits(inputs)[0]
    close(logits.exp(), data['seg_probs'])
    assert (logits.argmax(dim=0) != data['seg_label']).float().mean() <= 0.001
