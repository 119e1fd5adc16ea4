"""ToCo's training on a tiny network: phases, losses, gradients, views, ablations, errors."""

import copy
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.logging import MessageHub
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.models.segmentors import toco as toco_module
from mmwsss.pipeline.schedules import scaled
from tests.host_reads import NoHostReads
from tests.loading import ROOT

pytestmark = pytest.mark.stack
SIZE = (64, 64)
NAMES = {f'loss_{name}' for name in ('cls', 'cls_aux', 'ptc', 'ctc', 'seg', 'reg')}
TAGS = {'loss_cls', 'loss_cls_aux'}
WARMUP, LATE = 5, 31


@pytest.fixture(scope='module')
def cfg(repo):
    """Return the public tiny model with four classes, whose first phase ends at 5."""
    cfg = Config.fromfile(repo / 'configs/_base_/models/toco_vit-tiny.py').model
    cfg.data_preprocessor.size = SIZE
    cfg.backbone.update(embed_dims=12, num_heads=2, stem_channels=(4, 4), img_size=64)
    for part in (cfg.cam_head, cfg.auxiliary_head):
        part.update(in_channels=12, num_classes=4)
        part.pooling.k = 4
    cfg.contrast_head.module.update(
        in_channels=12, hidden_channels=16, bottleneck_channels=6, out_channels=8
    )
    cfg.decode_head.update(in_channels=12, channels=8, num_classes=4)
    cfg.update(num_crops=3, crop_size=16)
    cfg.train_cfg.warmup_iters = WARMUP
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
            for head in model.class_heads:
                head.conv_cam.weight.normal_(std=3.0)
        return model

    return build


def batch(views=()):
    """Return two images, the second with padding, and their samples."""
    samples = []
    for tags, box in (((0, 2), (0, 0, 64, 64)), ((1,), (8, 0, 64, 40))):
        samples.append(SegDataSample(metainfo=dict(valid_box=box)))
        label = torch.tensor(tags)
        samples[-1].set_data(dict(gt_label=label, gt_score=torch.zeros(3).index_fill_(0, label, 1)))
        for name in views:
            view = torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8)
            samples[-1].set_data({name: view})
    return torch.randn(2, 3, *SIZE), samples


def losses_at(model, iteration, data=None):
    if iteration is not None:
        MessageHub.get_current_instance().update_info('iter', iteration)
    torch.manual_seed(3)
    return model(*(data or batch()), mode='loss')


# phases


@pytest.mark.parametrize(
    ('iteration', 'options', 'acting', 'masks'),
    [
        (WARMUP, (), NAMES - {'loss_seg', 'loss_reg'}, None),
        (WARMUP + 1, (), NAMES, 'cam'),
        (None, (), NAMES, 'cam'),  # no runner trains
        (WARMUP, ('train_cfg.switch_iters=30',), TAGS, None),
        (30, ('train_cfg.switch_iters=30',), TAGS | {'loss_seg', 'loss_reg'}, 'aux_cam'),
        (LATE, ('train_cfg.switch_iters=30',), NAMES, 'cam'),
        (LATE, ('train_cfg.switch_iters=None',), TAGS | {'loss_seg', 'loss_reg'}, 'aux_cam'),
        (LATE, ('loss_ptc=None',), NAMES - {'loss_ptc'}, 'cam'),
        (LATE, ('loss_ctc=None',), NAMES - {'loss_ctc'}, 'cam'),
        (LATE, ('loss_reg=None',), NAMES - {'loss_reg'}, 'cam'),
        (LATE, ('auxiliary_head=None',), NAMES - {'loss_cls_aux'}, 'cam'),
    ],
)
def test_what_acts(build, monkeypatch, iteration, options, acting, masks):
    model, seen = build(*options), []
    pseudo_masks = model.pseudo_masks
    monkeypatch.setattr(
        model, 'pseudo_masks', lambda known, cams, places: seen.append(cams) or pseudo_masks(
            known, cams, places))  # fmt: skip
    found = []
    tagged_cams = model.tagged_cams
    monkeypatch.setattr(
        model, 'tagged_cams', lambda *args: found.append(tagged_cams(*args)) or found[-1]
    )
    losses = losses_at(model, iteration)
    assert {name for name, loss in losses.items() if loss != 0} == acting
    assert len(seen) == (masks is not None)
    if masks:
        assert seen[0] is getattr(found[0], masks)


@pytest.mark.parametrize('switch', ['-1', '30'])
@pytest.mark.parametrize('iteration', [WARMUP, 30, LATE])
def test_every_parameter_has_a_gradient_in_every_phase(build, iteration, switch):
    """Processes that train together would wait for one that has none."""
    model = build(f'train_cfg.switch_iters={switch}')
    sum(losses_at(model, iteration).values()).backward()
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in learning.items() if p.grad is None] == []
    idle = {name.split('.')[0] for name, p in learning.items() if not p.grad.any()}
    contrast = iteration > int(switch)
    expected = {'contrast_head'} - ({'contrast_head'} if contrast else set())
    expected |= {'decode_head'} if iteration == WARMUP else set()
    assert idle == expected


def test_a_phase_that_never_was_stays_so_in_a_shorter_training():
    assert scaled(-1, 20000, 200) == -1


def test_tags_alone_take_one_pass_of_the_encoder(build):
    model, runs = build('train_cfg.switch_iters=30'), []
    model.backbone.norm.register_forward_hook(lambda *_: runs.append(1))
    losses_at(model, WARMUP)
    assert len(runs) == 1


def test_the_teacher_moves_before_the_step(build):
    model, data = build(), batch()
    before = [p.clone() for p in model.contrast_head.teacher.parameters()]
    with torch.no_grad():
        for parameter in model.contrast_head.student.parameters():
            parameter.add_(1.0)
    for iteration in (WARMUP, LATE):
        losses_at(model, iteration, data)
    students = model.contrast_head.student.parameters()
    for old, new, target in zip(
        before, model.contrast_head.teacher.parameters(), students, strict=True
    ):
        torch.testing.assert_close(new, target + 0.81 * (old - target))


# what the losses see


def test_views_are_normalised_and_only_the_first_has_a_box(build, monkeypatch):
    model, seen = build('data_preprocessor.pad_after_norm=True'), []
    encode = model.backbone.encode
    monkeypatch.setattr(
        model.backbone, 'encode', lambda x, **kwargs: seen.append(x) or encode(x, **kwargs)
    )
    inputs, samples = batch(views=('second_view', 'local_view'))
    crops = []
    cut = toco_module.cut_local_crops
    monkeypatch.setattr(
        toco_module, 'cut_local_crops', lambda x, *args: crops.append(x) or cut(x, *args)
    )
    losses_at(model, LATE, (inputs, samples))
    preprocessor = model.data_preprocessor
    assert torch.equal(seen[0], inputs)
    expected = torch.stack([s.second_view for s in samples]).flip(1).float()
    expected = (expected - preprocessor.mean) / preprocessor.std
    assert any(x.shape == expected.shape and torch.allclose(x, expected) for x in seen[1:])
    assert not crops[0][1, :, :8].any() and crops[0][0].any()


def test_maps_of_the_tagged_classes_alone_are_those_of_all(build):
    # the batch norm in front of the tiny network would see other batches
    model, inputs = build().eval(), batch()[0]
    classes = torch.tensor([[0, 2], [1, -1]])
    with torch.no_grad():
        outputs = model.encode(inputs)[1]
        found = model.tagged_cams(inputs, outputs, classes)
    everything = [toco_module.min_max_norm(x) for x in model.multi_scale_cams(inputs)]
    for maps, ours in zip(everything, (found.cam, found.aux_cam), strict=True):
        torch.testing.assert_close(ours[0], maps[0, [0, 2]])
        torch.testing.assert_close(ours[1, 0], maps[1, 1])
    assert found.places.tolist() == [[0, 1], [0, -1]]


def test_masks_hold_the_tagged_classes(build):
    model, seen = build(), []
    model.loss_reg.register_forward_pre_hook(lambda _, args: seen.extend(args))
    inputs, samples = batch()
    losses_at(model, LATE, (inputs, samples))
    _, images, target, valid = seen
    assert set(target[0].unique().tolist()) <= {0, 1, 3, 255}
    assert set(target[1].unique().tolist()) <= {0, 2, 255}
    assert (target[~valid[:, 0]] == 255).all()
    preprocessor = model.data_preprocessor
    assert torch.equal(images, inputs * preprocessor.std + preprocessor.mean)


@pytest.mark.parametrize('tags', [[], [0], [0, 1, 2]])
def test_a_kind_of_pixels_that_is_missing_leaves_losses_finite(build, tags):
    inputs, samples = batch()
    score = torch.zeros(3)
    score[tags] = 1
    for sample in samples:
        sample.set_data(dict(gt_label=torch.tensor(tags, dtype=torch.int64), gt_score=score))
    losses = losses_at(build(), LATE, (inputs, samples))
    assert all(loss.isfinite() for loss in losses.values())
    if not tags:
        published = build('decode_head.loss_decode.skip_empty=False')
        assert losses_at(published, LATE, (inputs, samples))['loss_seg'].isnan()


@pytest.mark.parametrize('iteration', [WARMUP, LATE])
def test_labels_are_made_without_waiting_for_values(build, iteration):
    # the lattice of the regularised loss finds its vertices by their values
    model, data = build('loss_reg=None'), batch(views=('second_view', 'local_view'))
    with NoHostReads():
        losses_at(model, iteration, data)


def test_weights_of_the_losses(build):
    data, found = batch(), []
    for factor in (1, 10):
        model = build(
            f'loss_ptc.loss_weight={0.2 * factor}',
            f'loss_ctc.loss_weight={0.5 * factor}',
            f'decode_head.loss_decode.loss_weight={0.1 * factor}',
            f'loss_reg.loss_weight={5e-9 * factor}',
        )
        found.append(losses_at(model, LATE, data))
    for name in NAMES - TAGS:
        torch.testing.assert_close(10 * found[0][name], found[1][name])


# prediction


@pytest.mark.parametrize('cam_from', ['cam', 'aux_cam'])
@torch.no_grad()
def test_maps_of_either_head_are_predicted(build, cam_from):
    model = build('test_cfg.output=cam', f'test_cfg.cam_from={cam_from}').eval()
    inputs, _ = batch()
    maps, scores = model.predict_maps(inputs)
    torch.testing.assert_close(maps, model.multi_scale_cams(inputs)[cam_from == 'aux_cam'])
    assert torch.equal(scores, model(inputs, mode='tensor')['cls'])


@torch.no_grad()
def test_predictions_of_the_decoder_and_small_images(build):
    model = build().eval()
    for size in ((64, 48), (70, 61), (3, 90)):
        inputs = torch.randn(1, 3, *size)
        sample = SegDataSample(metainfo=dict(ori_shape=size, img_shape=size, pad_shape=size))
        (found,) = model(inputs, [sample], mode='predict')
        assert found.pred_sem_seg.data.shape == (1, *size)
        assert found.seg_logits.data.isfinite().all()


# the ablations of docs/toco.md


@pytest.mark.parametrize(
    'options',
    [
        'loss_ptc=None loss_ctc=None loss_reg=None',
        'loss_ctc=None loss_reg=None',
        'loss_ptc=None loss_reg=None',
        'loss_reg=None',
        'auxiliary_head=None',
        'num_crops=0',
        'num_crops=2',
        'contrast_head.momentum=0.99',
        'refiner=None',
    ],
)
def test_options_of_the_page_train(build, repo, options):
    page = ' '.join((repo / 'docs/toco.md').read_text().replace('\\\n', ' ').split())
    assert ' '.join(f'model.{word}' for word in options.split()) in page
    losses = losses_at(build(*options.split()), LATE)
    assert all(loss.isfinite() for loss in losses.values())


# two processes

PROCESS = """
import sys, warnings
warnings.simplefilter('ignore')
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
import mmwsss
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
init_default_scope('mmseg')
folder, rank = sys.argv[1], int(sys.argv[2])
store = f'file://{{folder}}/store'
distributed.init_process_group('gloo', init_method=store, rank=rank, world_size=2)
saved = torch.load(f'{{folder}}/batch.pth', weights_only=False)
model = MODELS.build(Config.fromfile(f'{{folder}}/model.py').model).train()
model.load_state_dict(saved['weights'])
MessageHub.get_current_instance().update_info('iter', 10)
wrapped = DistributedDataParallel(model)
inputs, samples = saved['batch']
losses = wrapped(inputs[rank:rank + 1], samples[rank:rank + 1], mode='loss')
sum(losses[name] for name in {names}).backward()
if not rank:
    grads = {{n: p.grad for n, p in model.named_parameters() if p.requires_grad}}
    torch.save(grads, f'{{folder}}/grads.pth')
distributed.destroy_process_group()
"""


def test_two_processes_give_the_gradients_of_one(cfg, tmp_path):
    """Losses that are means over images: those of pairs, pixels and crops count by process."""
    saved = Config(dict(model=copy.deepcopy(cfg)))
    saved.model.update(num_crops=0)
    saved.model.train_cfg.warmup_iters = 100
    # the convolutions in front of the tiny network have a batch norm, of each process alone
    saved.model.backbone.stem_channels = ()
    saved.dump(tmp_path / 'model.py')
    torch.manual_seed(0)
    model = MODELS.build(saved.model).train()
    inputs, samples = batch(views=('second_view',))
    names = ('loss_cls', 'loss_cls_aux', 'loss_ctc', 'loss_seg', 'loss_reg')
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    torch.save(dict(weights=weights, batch=(inputs, samples)), tmp_path / 'batch.pth')
    script = PROCESS.format(names=names)
    processes = [
        subprocess.Popen([sys.executable, '-c', script, str(tmp_path), str(rank)], cwd=ROOT)
        for rank in range(2)
    ]
    assert [process.wait(500) for process in processes] == [0, 0]
    losses = losses_at(model, 10, (inputs, samples))
    sum(losses[name] for name in names).backward()
    grads = torch.load(tmp_path / 'grads.pth')
    assert len(grads) > 20
    for name, grad in grads.items():
        torch.testing.assert_close(
            grad, model.get_parameter(name).grad, rtol=1e-4, atol=1e-5, msg=name
        )


# what is refused


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('train_cfg.iters=3', 'ToCo: train_cfg has no iters; it has bg_scores, switch_iters'),
        ('train_cfg.bg_scores=0.5,0.5', r'bg_scores must be a low and a higher.*got \[0.5, 0.5\]'),
        ('cam_scales=0,1', r'cam_scales must be positive, got \(0, 1\)'),
        ('num_crops=-1', 'num_crops must not be negative and crop_size.*got -1 and 16'),
        ('crop_size=0', 'crop_size at least 1, got 3 and 0'),
        ('backbone.num_class_tokens=0', 'backbone must have one class token.*got TokenViT'),
        ('cam_head.with_background=True', 'must each be a CAMHead with with_background=False'),
        ('backbone.out_indices=[-1]', r'two different maps.*returns 1 .*in_index=-1 and 0: add'),
        ('auxiliary_head.in_index=1', 'returns 2 .*got in_index=-1 and 1: add the auxiliary block'),
        ('auxiliary_head.in_index=2', 'two different maps.*got in_index=-1 and 2'),
        ('auxiliary_head.num_classes=9', 'must have the same num_classes, got 4 and 9'),
        ('auxiliary_head.loss_cls.loss_name=loss_cls', "loss_name='loss_cls_aux', got 'loss_cls'"),
        ('test_cfg.cam_from=seg', r"cam_from must be one of \('cam', 'aux_cam'\), got 'seg'"),
        ('data_preprocessor.mean=None', 'data_preprocessor must normalise'),
    ],
)
def test_wrong_settings_are_refused(build, option, message):
    options = [option]
    if 'mean' in option:
        options.append('data_preprocessor.std=None')
    with pytest.raises(ValueError, match=message):
        build(*options)


def test_a_contrast_head_without_teacher_is_refused(build, cfg, monkeypatch):
    monkeypatch.setitem(cfg, 'contrast_head', cfg.contrast_head.module)
    with pytest.raises(ValueError, match='must be a MeanTeacher, got ProjectionHead'):
        build()


def test_crops_larger_than_the_image_are_refused(build):
    with pytest.raises(ValueError, match='3 crops of 64 x 64 pixels do not fit images of 64 x 64'):
        losses_at(build('crop_size=64'), LATE)
