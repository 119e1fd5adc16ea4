"""ToCo's network and training steps against the numbers of the published implementation."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from mmwsss.models.converters.toco import TOCO, split_toco_tokens, toco_settings, toco_shapes
from mmwsss.models.segmentors import toco as toco_module
from mmwsss.models.segmentors.online_labels import eight_bit_images, known_images
from mmwsss.models.segmentors.toco_labels import pair_labels_of_cells, regions_of
from mmwsss.ops import LocalCrops, choose_local_crops, min_max_norm, positive_views
from tests import toco_reference as reference
from tests.toco_reference import TOLERANCE, load

pytestmark = pytest.mark.stack
LOSSES = ('cls', 'cls_aux', 'ptc', 'ctc', 'seg', 'reg')
WEIGHTS = dict(cls=1, cls_aux=1, ptc=0.2, ctc=0.5, seg=0.1, reg=0.05)
COCO = dict(warmup_iters=8000, switch_iters=12000)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Return published weights after the converter."""
    return reference.convert(tmp_path_factory.mktemp('toco'))


@pytest.fixture
def toco(checkpoint):
    """Build the public model, whose teacher moves in training, anew."""
    return reference.build(checkpoint)


# the network


@pytest.mark.parametrize('prefix', ['', 'odd_'])
def test_forward(toco, prefix):
    data, _ = load('toco_forward')
    with torch.no_grad():
        outputs = toco(data[f'{prefix}inputs'], mode='tensor')
    for name in ('cls', 'cls_aux', 'seg', 'cam', 'cam_aux', 'feat', 'feat_aux', 'class_token'):
        torch.testing.assert_close(outputs[name], data[prefix + name], **TOLERANCE)
    if not prefix:
        torch.testing.assert_close(outputs['proj'], data['proj_student'], **TOLERANCE)
        torch.testing.assert_close(outputs['proj_teacher'], data['proj_teacher'], **TOLERANCE)


def teacher_sums(toco):
    teacher = toco.contrast_head.teacher
    parts = [p.double() for i in (0, 2, 4) for p in (teacher.mlp[i].weight, teacher.mlp[i].bias)]
    parametrized = teacher.last.parametrizations.weight
    parts += [parametrized.original0.double(), parametrized.original1.double()]
    return torch.tensor([[p.sum(), p.abs().sum()] for p in parts], dtype=torch.float64)


def check_sums(found, expected):
    assert ((found[:, 0] - expected[:, 0]).abs() <= 1e-5 * expected[:, 1]).all()


def test_average_of_the_projection(toco):
    data, settings = load('toco_forward')
    assert toco.contrast_head.momentum == settings['momentum']
    toco.contrast_head.update()
    found = toco.contrast_head.teach(data['class_token'])
    torch.testing.assert_close(found, data['proj_teacher_after'], **TOLERANCE)
    check_sums(teacher_sums(toco), data['teacher_sums_after'])


@pytest.mark.parametrize(
    ('name', 'width', 'classes'),
    [
        ('deit_tiny', 192, 21),
        ('deit_small', 384, 21),
        ('vit_base', 768, 21),
        ('vit_base_coco', 768, 81),
    ],
)
def test_every_published_weight_has_a_place(name, width, classes):
    spec = json.loads((reference.REFERENCE / f'toco/toco_{name}.spec.json').read_text())
    weights = {name: torch.empty(shape, device='meta') for name, shape in spec.items()}
    weights = split_toco_tokens(weights)
    settings = toco_settings(TOCO.renamed(weights))
    assert (settings['backbone']['embed_dims'], settings['num_classes']) == (width, classes)
    assert {TOCO(n): x.shape for n, x in weights.items()} == toco_shapes(settings)


@pytest.mark.parametrize('shared', [False, True])
def test_multi_scale_cams(toco, shared):
    data, settings = load('multi_scale')
    assert list(toco.cam_scales) == settings['cam_scales']
    passes = []
    with torch.no_grad():
        outputs = toco.encode(data['inputs'])[1] if shared else None
    hook = toco.backbone.register_forward_hook(lambda _, args, __: passes.append(len(args[0])))
    found = toco.multi_scale_cams(data['inputs'], outputs)
    hook.remove()
    for maps, name, checks in zip(found, ('cam', 'cam_aux'), data['cam_checks'], strict=True):
        maps = min_max_norm(maps)
        torch.testing.assert_close(maps[..., ::2, ::2], data[f'{name}_s2'], **TOLERANCE)
        sums = torch.stack([maps.double().sum(), maps.double().square().sum()])
        torch.testing.assert_close(sums, checks, rtol=1e-4, atol=0)
    assert sum(passes) == (10 if shared else 12)


# a whole step of training


class Step:
    """A batch of a file, the public model with its settings, and what it should give."""

    def __init__(self, checkpoint, name):
        self.data, settings = load(f'train_step_{name}')
        self.names, changes = settings['grad_names'], settings['overrides']
        self.seed = settings['crop_seed']
        self.coco = name == 'coco'
        self.train_cfg = dict(bg_scores=(changes['low_thre'], changes['high_thre']))
        if self.coco:
            self.train_cfg.update(COCO)
        self.model = reference.build(checkpoint, train_cfg=self.train_cfg)
        self.model.loss_ctc.settings['temperature'] = 1.0 if self.coco else 0.5
        self.samples = reference.samples(
            self.data['cls_labels'],
            self.data['img_box'],
            second_view=self.data['view2'],
            local_view=self.data['local'],
        )

    def losses(self, iteration):
        MessageHub.get_current_instance().update_info('iter', iteration)
        self.model.zero_grad()
        torch.manual_seed(self.seed)
        found = self.model(self.data['inputs'], self.samples, mode='loss')
        assert set(found) == {f'loss_{name}' for name in LOSSES}
        return {name: found[f'loss_{name}'] for name in LOSSES}

    def norms(self):
        grads = [self.model.get_parameter(TOCO(name)).grad for name in self.names]
        norms = [0.0 if grad is None else grad.norm().item() for grad in grads]
        return torch.tensor(norms, dtype=torch.float64)


def check_losses(losses, expected, rtol=1e-4):
    found = torch.stack([losses[name].detach() for name in LOSSES[:5]]).double()
    acting = torch.stack([losses[name].detach() != 0 for name in LOSSES[:5]])
    weights = torch.tensor([WEIGHTS[name] for name in LOSSES[:5]]) * acting
    torch.testing.assert_close(found, expected[:5] * weights, rtol=rtol, atol=1e-6)


STEPS = {
    'voc2000': ('voc', {'cls', 'cls_aux', 'ptc', 'ctc'}),
    'voc2001': ('voc', set(LOSSES)),
    'coco8000': ('coco', {'cls', 'cls_aux'}),
    'coco8001': ('coco', {'cls', 'cls_aux', 'seg', 'reg'}),
    'coco12000': ('coco', {'cls', 'cls_aux', 'seg', 'reg'}),
    'coco12001': ('coco', set(LOSSES)),
}


@pytest.mark.parametrize('name', STEPS)
def test_losses_and_gradients_of_a_step(checkpoint, name):
    kind, acting = STEPS[name]
    step = Step(checkpoint, kind)
    losses = step.losses(int(name.removeprefix(kind)))
    assert {key for key, loss in losses.items() if loss != 0} == acting
    expected = step.data[f'{name}_losses']
    check_losses(losses, expected)
    total = sum(losses[key] for key in LOSSES[:5]) + 0.05 * expected[5] * ('reg' in acting)
    torch.testing.assert_close(total.double(), expected[6], rtol=1e-4, atol=1e-6)
    sum(losses.values()).backward()
    torch.testing.assert_close(step.norms(), step.data[f'{name}_grad_norms'], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize('name', ['voc2001', 'coco12001'])
@pytest.mark.parametrize('key', LOSSES)
def test_gradient_of_each_loss(checkpoint, name, key):
    kind = STEPS[name][0]
    step = Step(checkpoint, kind)
    loss = step.losses(int(name.removeprefix(kind)))[key]
    (loss / WEIGHTS[key]).backward()
    expected = step.data[f'{name}_grad_norms_per_loss'][LOSSES.index(key)]
    # the published gradient of the energy treats the lattice as symmetric
    tolerance = dict(rtol=0.06, atol=1e-6) if key == 'reg' else dict(rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(step.norms(), expected, **tolerance)


def pairs_of(cells):
    """Return the labels of all pairs of cells, 255 with an ignored one and with itself."""
    cells = cells.flatten(1)
    ignored = (cells == 255)[:, :, None] | (cells == 255)[:, None]
    ignored |= torch.eye(cells.shape[1], dtype=torch.bool)
    return (cells[:, :, None] == cells[:, None]).byte().masked_fill(ignored, 255)


def known_of(step):
    """Return the images of a batch, cut to 8 bits, and what is known of them."""
    preprocessor = step.model.data_preprocessor
    images = eight_bit_images(step.data['inputs'], preprocessor.mean, preprocessor.std)
    return known_images(images, step.samples, step.data['cls_labels'])


def check_crops(step, regions):
    """Compare the local crops of a batch with the published ones, and return them."""
    torch.manual_seed(step.seed)
    crops = choose_local_crops(regions, 48, 8)
    assert torch.equal(crops.counts, step.data['candidates'])
    assert torch.equal(crops.positions, step.data['positions'])
    assert torch.equal(positive_views(crops.ratios).float(), step.data['flags'])
    return crops


@pytest.mark.parametrize('name', ['voc', 'coco'])
def test_labels_of_a_step(checkpoint, name):
    step = Step(checkpoint, name)
    data, model = step.data, step.model
    known = known_of(step)
    with torch.no_grad():
        outputs = model.encode(data['inputs'])[1]
    for maps, key in zip(model.multi_scale_cams(data['inputs']), ('cams', 'cams_aux'), strict=True):
        small = min_max_norm(maps)[..., 2::4, 2::4]
        torch.testing.assert_close(small, data[f'{key}_s4'], **TOLERANCE)
    found = model.tagged_cams(data['inputs'], outputs, known.classes)
    regions = regions_of(found, model.train_cfg)
    assert torch.equal(regions, data['roi_mask'])
    pairs = pair_labels_of_cells(found, known.valid, (8, 8), model.train_cfg)
    assert [(pairs == k).sum() for k in (1, 0)] == data['pair_counts'].tolist()
    assert torch.equal(pairs, pairs_of(data['cell_label']))
    crops = check_crops(step, regions)
    torch.testing.assert_close(crops.ratios.double(), data['ratios'], rtol=1e-6, atol=0)
    keys = {f'{name}_refined_label': 'cam'}
    if step.coco:
        keys['coco_refined_label_aux'] = 'aux_cam'
    for key, kind in keys.items():
        masks = model.pseudo_masks(known, getattr(found, kind), found.places)
        assert (masks != data[key]).flatten(1).sum(dim=1).max() <= 8


def test_projections_of_a_step(checkpoint, monkeypatch):
    step, seen = Step(checkpoint, 'voc'), []
    forward = step.model.loss_ctc.forward
    monkeypatch.setattr(
        step.model.loss_ctc, 'forward', lambda *args: seen.extend(args) or forward(*args)
    )
    step.losses(2001)
    student, teacher, positive = seen
    for found, key in ((student, 'proj_student'), (teacher, 'proj_teacher')):
        torch.testing.assert_close(found.flatten(0, 1)[:, :64], step.data[key], **TOLERANCE)
    assert torch.equal(positive.float(), step.data['flags'])
    check_sums(teacher_sums(step.model), step.data['teacher_sums'])


def test_padding(checkpoint):
    step = Step(checkpoint, 'pad')
    data, model = step.data, step.model
    losses = step.losses(2001)
    # the published boxes leave nothing of the cells; these are laid upon them
    expected = data['losses'].clone()
    expected[2] = data['ptc_cell_box']
    check_losses(losses, expected)
    known = known_of(step)
    with torch.no_grad():
        outputs = model.encode(data['inputs'])[1]
    found = model.tagged_cams(data['inputs'], outputs, known.classes)
    regions = regions_of(found, model.train_cfg)
    assert torch.equal(regions, data['roi_mask'])
    crops = check_crops(step, regions)
    # ranks are those of the candidates in row-major order
    allowed = regions[:, 24:104, 24:104] < 2
    for corners, ranks, positions in zip(allowed, data['ranks'], crops.positions, strict=True):
        assert torch.equal(corners.nonzero()[ranks], positions)
    pairs = pair_labels_of_cells(found, known.valid, (8, 8), model.train_cfg)
    assert torch.equal(pairs, pairs_of(data['cell_label_cell_box']))
    assert (data['cell_label'] == 255).all()  # boxes in pixels leave no cell
    masks = model.pseudo_masks(known, found.cam, found.places)
    assert (masks != data['refined_label']).flatten(1).sum(dim=1).max() <= 8
    # without the loss that differs the gradients are the published ones but where it acts
    sum(loss for name, loss in losses.items() if name != 'ptc').backward()
    norms, published = step.norms(), data['grad_norms']
    torch.testing.assert_close(norms, published, rtol=1e-3, atol=1e-6)


# the optimiser


def optimizer_of(model, cfg):
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    schedulers = [
        PARAM_SCHEDULERS.build(x, default_args=dict(optimizer=wrapper.optimizer))
        for x in cfg.param_scheduler
    ]
    return wrapper.optimizer, schedulers


def rates_of(cfg, steps):
    """Return the rates of the groups at some iterations."""
    parts = ('backbone', 'cam_head', 'auxiliary_head', 'contrast_head', 'decode_head')
    model = nn.ModuleDict({part: nn.Linear(1, 1) for part in parts})
    optimizer, schedulers = optimizer_of(model, cfg)
    assert {group['weight_decay'] for group in optimizer.param_groups} == {0.01}
    assert {tuple(group['betas']) for group in optimizer.param_groups} == {(0.9, 0.999)}
    found = {}
    for i in range(max(steps) + 1):
        found[i] = [group['lr'] for group in optimizer.param_groups]
        if not i:
            optimizer.step()  # a scheduler that nothing is learned with warns
        for scheduler in schedulers:
            scheduler.step()
    return torch.tensor([found[i] for i in steps], dtype=torch.float64)


def test_learning_rates(repo):
    data, _ = load('losses')
    cfg = Config.fromfile(repo / 'configs/toco/toco_vit-b_voc.py')
    steps = [step for step in data['sched_steps'].tolist() if step < cfg.train_cfg.max_iters]
    rates = rates_of(cfg, steps)
    torch.testing.assert_close(rates, data['sched_lr'][: len(steps)], rtol=1e-6, atol=0)


@pytest.mark.parametrize(('name', 'kind'), [('voc2001', 'voc'), ('coco12001', 'coco')])
def test_update_of_a_step(checkpoint, repo, name, kind):
    step = Step(checkpoint, kind)
    iteration = int(name.removeprefix(kind))
    cfg = Config.fromfile(repo / f'configs/toco/toco_vit-b_{kind}.py')
    (rates,) = rates_of(cfg, [iteration])
    torch.testing.assert_close(rates, step.data[f'{name}_lr'], rtol=1e-6, atol=0)
    wrapper = build_optim_wrapper(step.model, cfg.optim_wrapper)
    for group, rate in zip(wrapper.optimizer.param_groups, rates.tolist(), strict=True):
        group['lr'] = rate
    sum(step.losses(iteration).values()).backward()
    parameters = [step.model.get_parameter(TOCO(n)) for n in step.names]
    before = [p.detach().clone() for p in parameters]
    wrapper.step()
    moved = [(p - b).norm().item() for p, b in zip(parameters, before, strict=True)]
    expected = step.data[f'{name}_update_norms']
    moved = torch.tensor(moved, dtype=torch.float64)
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-6)


def test_two_steps_of_a_training(checkpoint, repo, monkeypatch):
    step = Step(checkpoint, 'voc')
    cfg = Config.fromfile(repo / 'configs/toco/toco_vit-b_voc.py')
    wrapper = build_optim_wrapper(step.model, cfg.optim_wrapper)
    seen = []

    def choose(regions, size, number):
        crops = choose_local_crops(regions, size, number)
        seen.append(crops)
        if len(seen) == 2:
            # its thresholds have smaller margins: the published crops, whatever ours would be
            assert (crops.counts - step.data['twice1_candidates']).abs().max() <= 8
            positions = step.data['twice1_positions']
            windows = regions[:, None].float().unfold(2, size, 1).unfold(3, size, 1)
            images = torch.arange(2)[:, None]
            ratios = windows[images, 0, positions[..., 0], positions[..., 1]].mean(dim=(2, 3))
            assert torch.equal((ratios > 0.2).float(), step.data['twice1_flags'][:, 2:])
            return LocalCrops(positions, ratios, crops.counts)
        return crops

    monkeypatch.setattr(toco_module, 'choose_local_crops', choose)
    for i, iteration in enumerate((5000, 5001)):
        for group, rate in zip(
            wrapper.optimizer.param_groups, rates_of(cfg, [iteration])[0].tolist(), strict=True
        ):
            group['lr'] = rate
        losses = step.losses(iteration)
        check_losses(losses, step.data[f'twice{i}_losses'], rtol=1e-3 if i else 1e-4)
        check_sums(teacher_sums(step.model), step.data[f'twice{i}_teacher_sums'])
        sum(losses.values()).backward()
        expected = step.data[f'twice{i}_grad_norms']
        torch.testing.assert_close(step.norms(), expected, rtol=1e-3, atol=1e-6)
        wrapper.step()


def test_what_never_learns(toco):
    _, settings = load('train_step_voc')
    frozen = {name for name, p in toco.named_parameters() if not p.requires_grad}
    expected = {TOCO(name) for name in settings['frozen'] if name != 'encoder.pos_embed'}
    assert frozen == expected | {'backbone.pos_embed', 'backbone.class_pos_embed'}
    learned = [name for name, p in toco.named_parameters() if p.requires_grad]
    # the published groups also hold the classifier and the positions
    encoder = [name for name in learned if name.startswith('backbone.')]
    sizes = settings['group_sizes']
    assert len(encoder) == sizes[0] + sizes[1] - len(settings['grad_none']) - 1
    assert len(learned) - len(encoder) == sizes[2] + sizes[3] - 1


def test_public_configs_hold_the_published_settings(repo):
    for name, train_cfg, scores, temperature in (
        ('voc', dict(warmup_iters=2000, switch_iters=-1), (0.25, 0.7), 0.5),
        ('coco', COCO, (0.25, 0.65), 1.0),
    ):
        for size in ('deit-b', 'vit-b'):
            model = Config.fromfile(repo / f'configs/toco/toco_{size}_{name}.py').model
            assert model.train_cfg == dict(train_cfg, bg_scores=scores)
            assert model.loss_ctc.temperature == temperature
