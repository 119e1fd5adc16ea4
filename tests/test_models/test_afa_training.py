"""AFA's training on a tiny network: phases, losses, gradients, what is not computed, errors."""

import copy

import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.logging import MessageHub
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.models.segmentors import afa as afa_module
from tests.host_reads import NoHostReads

pytestmark = pytest.mark.stack
SIZE = (64, 64)
WARMUP, CAM, AFFINITY = 5, 6, 31
NAMES = {'loss_cls', 'loss_affinity', 'loss_seg', 'loss_reg'}


@pytest.fixture(scope='module')
def cfg(repo):
    """Return the public tiny model with four classes, and phases that end at 5 and 30."""
    cfg = Config.fromfile(repo / 'configs/_base_/models/afa_mit-tiny.py').model
    cfg.backbone.update(embed_dims=8, num_heads=[1, 2, 2, 2])
    cfg.cam_head.update(in_channels=16, num_classes=4)
    cfg.decode_head.update(in_channels=[8, 16, 16, 16], channels=8, num_classes=4)
    cfg.update(cam_scales=(1.0, 0.5, 1.5), radius=3)
    cfg.train_cfg.update(warmup_iters=5, switch_iters=30)
    cfg.refiner.update(num_iters=2, dilations=(1, 4))
    return cfg


@pytest.fixture
def build(cfg):
    """Build the model in training, with options as on the command line, alike each time."""

    def build(*options):
        torch.manual_seed(0)
        changed = Config(dict(model=copy.deepcopy(cfg)))
        words = (word.split('=', 1) for word in options)
        changed.merge_from_dict(
            {f'model.{key}': DictAction._parse_iterable(value) for key, value in words}
        )
        model = MODELS.build(changed.model).train()
        with torch.no_grad():
            # untrained, no class would win against the background
            model.cam_head.conv_cam.weight.normal_(std=3.0)
        return model

    return build


def batch():
    """Return two images, the second with padding, and their samples."""
    samples = []
    for tags, box in (((0, 2), (0, 0, 64, 64)), ((1,), (8, 0, 64, 40))):
        samples.append(SegDataSample(metainfo=dict(valid_box=box)))
        label = torch.tensor(tags)
        samples[-1].set_data(dict(gt_label=label, gt_score=torch.zeros(3).index_fill_(0, label, 1)))
    return torch.randn(2, 3, *SIZE), samples


def losses_at(model, iteration, data=None):
    if iteration is not None:
        MessageHub.get_current_instance().update_info('iter', iteration)
    return model(*(data or batch()), mode='loss')


def spy(monkeypatch, *names):
    """Note the calls of functions that the training uses."""
    calls = []
    for name in names:
        function = getattr(afa_module, name)

        def noting(*args, name=name, function=function, **kwargs):
            calls.append((name, *args))
            return function(*args, **kwargs)

        monkeypatch.setattr(afa_module, name, noting)
    return calls


# phases


@pytest.mark.parametrize(
    ('iteration', 'options', 'routes'),
    [
        (WARMUP, (), None),
        (CAM, (), {'cam'}),
        (30, (), {'cam'}),
        (AFFINITY, (), {'cam', 'affinity'}),
        (None, (), {'cam', 'affinity'}),  # no runner trains
        (AFFINITY, ('train_cfg.pairs_from=affinity',), {'affinity'}),
        (AFFINITY, ('loss_affinity=None',), {'affinity'}),
        (10**6, ('train_cfg.switch_iters=None',), {'cam'}),
        (0, ('train_cfg.warmup_iters=-1',), {'cam'}),
    ],
)
def test_labels_that_are_made(build, monkeypatch, iteration, options, routes):
    calls = spy(monkeypatch, 'pseudo_masks')
    losses = losses_at(build(*options), iteration)
    assert set(losses) == NAMES
    assert [set(args[3]) for args in calls] == ([] if routes is None else [routes])
    acting = {name for name, loss in losses.items() if loss != 0}
    expected = {'loss_cls'} if routes is None else NAMES
    assert acting == (expected - {'loss_affinity'} if 'loss_affinity=None' in options else expected)


@pytest.mark.parametrize(
    ('options', 'iteration', 'segmentation', 'pairs'),
    [
        ((), CAM, 'cam', 'cam'),
        ((), AFFINITY, 'affinity', 'cam'),
        (('train_cfg.pairs_from=affinity',), AFFINITY, 'affinity', 'affinity'),
    ],
)
def test_each_loss_gets_the_masks_of_its_route(
    build, monkeypatch, options, iteration, segmentation, pairs
):
    def pseudo_masks(known, found, routes, refine, **settings):
        places = dict(cam=1, affinity=2)
        return {r: torch.full((2, *SIZE), places[r], dtype=torch.uint8) for r in routes}

    monkeypatch.setattr(afa_module, 'pseudo_masks', pseudo_masks)
    calls = spy(monkeypatch, 'pair_label_matrix', 'decoder_loss')
    losses_at(build(*options), iteration)
    seen = {name: next(x for x in args if getattr(x, 'shape', 0) == (2, *SIZE)).unique().item()
            for name, *args in calls}  # fmt: skip
    names = [None, 'cam', 'affinity']
    assert names[seen['decoder_loss']] == segmentation
    assert names[seen['pair_label_matrix']] == pairs


def test_tags_alone_are_learned_without_decoder_attention_and_maps(build):
    model, runs = build(), []
    for part in (model.decode_head, model.affinity_head):
        part.register_forward_hook(lambda *_: runs.append('head'))
    model.backbone.register_forward_hook(lambda *_: runs.append('backbone'))
    losses_at(model, WARMUP)
    assert runs == ['backbone']


@pytest.mark.parametrize(
    ('options', 'asked'),
    [
        ((), 'factors'),
        (('affinity_head.type=RawAttentionHead', 'affinity_head.head_channels=8'), True),
    ],
)
def test_maps_of_attention_are_held_only_for_a_head_that_needs_them(
    build, monkeypatch, options, asked
):
    model, found = build(*options), []
    forward = model.backbone.forward
    monkeypatch.setattr(
        model.backbone,
        'forward',
        lambda x, return_attention=False: (
            found.append(return_attention) or forward(x, return_attention)
        ),
    )
    losses_at(model, CAM)
    assert [x for x in found if x] == [asked, asked]


@pytest.mark.parametrize('iteration', [WARMUP, CAM, AFFINITY])
def test_every_parameter_has_a_gradient_in_every_phase(build, iteration):
    """Processes that train together would wait for one that has none."""
    model = build()
    sum(losses_at(model, iteration).values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    idle = {name.split('.')[0] for name, p in model.named_parameters() if not p.grad.any()}
    assert idle == ({'affinity_head', 'decode_head'} if iteration == WARMUP else set())


def test_heads_without_weights_do_not_act_in_vain(build):
    model = build('affinity_head.type=RawAttentionHead', 'affinity_head.head_channels=8',
                  'loss_affinity=None')  # fmt: skip
    for iteration in (WARMUP, AFFINITY):
        losses = losses_at(model, iteration)
        assert losses['loss_affinity'] == 0
        assert model.parse_losses(losses)[0].isfinite()


# losses


def test_weights_of_the_losses(build):
    data, found = batch(), []
    for factor in (1, 10):
        model = build(
            f'loss_affinity.loss_weight={0.1 * factor}',
            f'decode_head.loss_decode.loss_weight={0.1 * factor}',
            f'loss_reg.loss_weight={1e-9 * factor}',
        )
        found.append(losses_at(model, AFFINITY, data))
    for name in NAMES - {'loss_cls'}:
        torch.testing.assert_close(10 * found[0][name], found[1][name])


def test_regularised_loss_can_be_left_out(build):
    assert set(losses_at(build('loss_reg=None'), AFFINITY)) == NAMES - {'loss_reg'}


def test_regularised_loss_sees_images_labels_and_padding(build):
    model, seen = build(), []
    model.loss_reg.register_forward_pre_hook(lambda _, args: seen.extend(args))
    inputs, samples = batch()
    losses_at(model, CAM, (inputs, samples))
    logits, images, labels, valid = seen
    assert logits.requires_grad
    preprocessor = model.data_preprocessor
    assert torch.equal(
        images, (inputs * preprocessor.std + preprocessor.mean).clamp(0, 255).floor()
    )
    assert set(labels.unique().tolist()) <= {0, 1, 2, 3, 255}
    expected = torch.zeros(2, 1, *SIZE, dtype=torch.bool)
    expected[0], expected[1, :, 8:, :40] = True, True
    assert torch.equal(valid, expected)
    assert (labels[~expected[:, 0]] == 255).all()


@pytest.mark.parametrize('tags', [[], [0, 1, 2]])
@pytest.mark.parametrize('iteration', [CAM, AFFINITY])
def test_a_kind_of_pixels_that_is_missing_leaves_losses_finite(build, tags, iteration):
    inputs, samples = batch()
    score = torch.zeros(3)
    score[tags] = 1
    for sample in samples:
        sample.set_data(dict(gt_label=torch.tensor(tags, dtype=torch.int64), gt_score=score))
    losses = losses_at(build(), iteration, (inputs, samples))
    assert all(loss.isfinite() for loss in losses.values())
    published = build('decode_head.loss_decode.skip_empty=False')
    if not tags:
        # as in the published code
        assert losses_at(published, iteration, (inputs, samples))['loss_seg'].isnan()


@pytest.mark.parametrize('iteration', [WARMUP, CAM, AFFINITY])
def test_labels_are_made_without_waiting_for_values(build, iteration):
    # the lattice of the regularised loss finds its vertices by their values
    model, data = build('loss_reg=None'), batch()
    with NoHostReads():
        losses_at(model, iteration, data)


def test_tags_of_samples_without_indices_are_found(build):
    data, found = batch(), []
    for keep in (True, False):
        if not keep:
            for sample in data[1]:
                del sample.gt_label
        found.append(losses_at(build(), AFFINITY, data))
    for name in NAMES:
        assert torch.equal(found[0][name], found[1][name])


def test_several_losses_of_the_decoder_are_summed(build):
    data, found = batch(), []
    for number in (1, 2):
        model = build('decode_head.dropout_ratio=0')
        head = model.decode_head
        head.loss_decode = torch.nn.ModuleList([head.loss_decode] * number)
        found.append(losses_at(model, CAM, data)['loss_seg'])
    torch.testing.assert_close(found[1], 2 * found[0])


# the ablations of docs/afa.md


@pytest.mark.parametrize(
    'options',
    [
        'loss_affinity=None refiner=None loss_reg=None',
        'loss_affinity=None loss_reg=None',
        'loss_reg=None',
        'train_cfg.switch_iters=600 loss_reg=None',
        'train_cfg.switch_iters=600 loss_affinity=None affinity_head.type=RawAttentionHead '
        'affinity_head.head_channels=16',
    ],
)
def test_options_of_the_page_train(build, repo, options):
    page = ' '.join((repo / 'docs/afa.md').read_text().replace('\\\n', ' ').split())
    assert ' '.join(f'model.{word}' for word in options.split()) in page
    losses = losses_at(build(*options.split()), 601)
    assert all(loss.isfinite() for loss in losses.values())


# what is refused


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('train_cfg.iters=3', 'train_cfg has no iters; it has bg_scores, pairs_from'),
        ('train_cfg.switch_iters=4', 'switch_iters must not be below warmup_iters.*got 4 and 5'),
        (
            'train_cfg.pairs_from=both',
            r"pairs_from must be one of \('cam', 'affinity'\), got 'both'",
        ),
        ('train_cfg.bg_scores=0.5,0.5', r'bg_scores must be a low and a higher.*got \[0.5, 0.5\]'),
        ('train_cfg.bg_scores=0.5', 'bg_scores must be a low and a higher.*got 0.5'),
        ('refiner.num_iters=0', 'PAR: num_iters must be at least 1, got 0'),
        ('spread_exponent=0', 'spread_exponent must be positive.*got 0 and 0.1'),
        ('spread_eps=-1', 'spread_eps not negative, got 2.0 and -1'),
        ('data_preprocessor.mean=None', 'data_preprocessor must normalise'),
    ],
)
def test_wrong_settings_are_refused(build, option, message):
    options = [option]
    if 'mean' in option:
        options.append('data_preprocessor.std=None')
    with pytest.raises(ValueError, match=message):
        build(*options)
