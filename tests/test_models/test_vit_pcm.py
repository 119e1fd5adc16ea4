"""ViT-PCM: the second view, the loss between the views step by step, the classifier's decay."""

from functools import partial
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmwsss.models.losses import patch_equivariance_loss
from mmwsss.models.segmentors.vit_pcm import four_in_one, one_of_four
from mmwsss.models.transformations import RandomPatchView, Transformed
from tests.tiny_apc import apc_config

pytestmark = pytest.mark.stack
resize = partial(F.interpolate, mode='bilinear', align_corners=True)
WITHOUT_CHANCE = {'neck.dropout': 0.0, 'cam_head.dropout': 0.0, 'neck.sequence_dropout': 0.0}
TAGS = ((0, 2), (1,), (), (0, 1, 2), (1, 2))


def build(**changes):
    """Build the public tiny ViT-PCM with four classes, with scores that differ."""
    torch.manual_seed(0)
    # as the paper's backbone, without the batch norm of the tiny one's convolutions
    changes = {'data_preprocessor.size': (32, 32), 'backbone.stem_channels': (), **changes}
    model = MODELS.build(apc_config('vit-pcm', changes)).train()
    with torch.no_grad():
        model.cam_head.conv_cam.weight.normal_(std=6.0)
    return model


def batch(number=2, boxes=None):
    """Return images of 32 x 32 and their samples."""
    torch.manual_seed(1)
    samples = []
    for i in range(number):
        box = boxes[i] if boxes else (0, 0, 32, 32)
        samples.append(SegDataSample(metainfo=dict(valid_box=box)))
        label = torch.tensor(TAGS[i], dtype=torch.int64)
        score = torch.zeros(3).index_fill_(0, label, 1)
        samples[-1].set_data(dict(gt_label=label, gt_score=score))
    return torch.randn(number, 3, 32, 32), samples


# the transformation


def laid(image, left_right, up_down, transposed):
    image = image.flip(-1) if left_right else image
    image = image.flip(-2) if up_down else image
    return image.mT if transposed else image


def part_of(image, crop, unit, lay):
    """Return a part at half the size, step by step; places and sides in units of the image."""
    if crop is not None:
        top, left, side = (value * unit for value in crop)
        image = image[..., top : top + side, left : left + side]
    half = 6 * unit
    return laid(resize(image[None], (half, half))[0], *lay)


def ways(images, view, unit):
    """Return the way in which each image became its view: a crop, or none, and a lay."""
    crops = [None, *((top, left, 4) for top, left in product(range(9), repeat=2))]
    found = []
    for image, seen in zip(images, view, strict=True):
        fits = [
            (crop, lay)
            for crop in crops
            for lay in product((False, True), repeat=3)
            if torch.allclose(part_of(image, crop, unit, lay), seen, atol=1e-4)
        ]
        assert len(fits) == 1
        found.append(fits[0])
    return found


def test_view_and_maps_go_one_of_the_published_ways():
    """Of 12 x 12 patches crops of 4 x 4, resized to 6 x 6, and whole images."""
    images = torch.rand(12, 3, 48, 48)
    seen = RandomPatchView(crop_size=16, patch_size=4, crop_prob=0.5)(images)
    assert seen.images.shape == (12, 3, 24, 24)
    assert seen.valid is None
    found = ways(images, seen.images, unit=4)
    assert {crop is None for crop, _ in found} == {False, True}
    assert len({lay for _, lay in found}) > 3
    maps = torch.rand(12, 5, 12, 12)
    expected = torch.stack(
        [part_of(image, crop, 1, lay) for image, (crop, lay) in zip(maps, found, strict=True)]
    )
    torch.testing.assert_close(seen.warp(maps), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('crop_prob', [0.0, 1.0])
def test_all_lays_and_all_places_come_up(crop_prob):
    torch.manual_seed(0)
    images = torch.rand(1, 1, 8, 8).expand(1500, 1, 8, 8)
    view = RandomPatchView(crop_size=4, patch_size=2, crop_prob=crop_prob)(images)
    different = torch.unique(view.images.flatten(1).round(decimals=3), dim=0, return_counts=True)
    # 8 lays of the whole image, or of crops at 3 x 3 places
    assert len(different[1]) == (72 if crop_prob else 8)
    if not crop_prob:
        assert different[1].min() > 120


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(crop_size=20), 'crop_size=20 must be a multiple of patch_size=16'),
        (dict(crop_size=0), 'crop_size=0 must be a multiple'),
        (dict(crop_prob=1.5), 'crop_prob must lie in 0 to 1, got 1.5'),
    ],
)
def test_wrong_settings_of_the_view_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RandomPatchView(**settings)


@pytest.mark.parametrize(('size', 'crop'), [((64, 96), 16), ((48, 48), 16), ((32, 32), 48)])
def test_images_that_have_no_such_view_are_refused(size, crop):
    view = RandomPatchView(crop_size=crop)
    with pytest.raises(ValueError, match=f'images must be square.*got {size[0]} x {size[1]}'):
        view(torch.rand(2, 3, *size))


def test_images_smaller_than_a_crop_pass_where_nothing_is_cropped():
    assert RandomPatchView(48, crop_prob=0.0)(torch.rand(2, 3, 32, 32)).images.shape[2:] == (16, 16)


# four views in one image


@pytest.mark.parametrize('number', [1, 3, 4, 5])
def test_views_lie_row_by_row_and_come_back(number):
    images = torch.rand(number, 3, 2, 3)
    merged = four_in_one(images)
    assert merged.shape == (-(-number // 4), 3, 4, 6)
    again = images[torch.arange(4) % number] if number < 4 else images[:4]
    rows = [torch.cat([again[i], again[i + 1]], dim=2) for i in (0, 2)]
    assert torch.equal(merged[0], torch.cat(rows, dim=1))
    assert torch.equal(one_of_four(merged, number), images)


# the loss of maps


def test_loss_is_the_mean_cross_entropy():
    scores = torch.rand(2, 4, 2, 3).softmax(dim=1).double()
    shares = torch.rand(2, 3, 2, 3).softmax(dim=1).double()
    classes = torch.tensor([[0, 2], [1, -1]])
    shares[1, 2] = 0
    valid = torch.tensor([[1, 1, 0], [0, 1, 1]]).expand(2, 1, 2, 3)
    terms, kept = [], []
    for n, y, x in product(range(2), range(2), range(3)):
        probs = scores[n, :, y, x].tolist()
        pairs = zip([0, *(classes[n] + 1).tolist()], shares[n, :, y, x].tolist(), strict=True)
        terms.append(-sum(s * torch.tensor(probs[c]).log().item() for c, s in pairs))
        kept.append(bool(valid[n, 0, y, x]))
    loss = patch_equivariance_loss(scores, shares, classes)
    assert loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-6)
    masked = patch_equivariance_loss(scores, shares, classes, valid)
    expected = [term for term, keep in zip(terms, kept, strict=True) if keep]
    assert masked.item() == pytest.approx(sum(expected) / len(expected), rel=1e-6)


def test_loss_is_finite_where_a_class_is_seen_nowhere_or_nothing_is_image():
    scores = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).requires_grad_()
    shares = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    loss = patch_equivariance_loss(scores, shares, torch.tensor([[0]]))
    assert loss.item() == pytest.approx(-torch.tensor(1e-7).log().item())
    nothing = patch_equivariance_loss(scores, shares, torch.tensor([[0]]), torch.zeros(1, 1, 1, 1))
    nothing.backward()
    assert nothing.item() == 0 and scores.grad.isfinite().all()


@pytest.mark.parametrize(
    'shapes', [((2, 4, 2, 3), (2, 3, 3, 3), (2, 2)), ((2, 4, 2, 3), (2, 3, 2, 3), (2, 3))]
)
def test_shapes_of_the_loss_are_checked(shapes):
    with pytest.raises(ValueError, match='patch_equivariance_loss: scores must be'):
        scores, shares, classes = shapes
        patch_equivariance_loss(
            torch.rand(scores), torch.rand(shares), torch.zeros(classes, dtype=torch.int64)
        )


# the loss of the model


class Known(nn.Module):
    """A transformation of which it is known what it does: the lower right quarter, transposed."""

    def forward(self, images):
        def warp(maps):
            half = maps.shape[2] // 2
            return maps[..., half:, half:].mT

        return Transformed(warp(images), warp, None)


def expected_loss(model, inputs, samples, second):
    """Return the loss between the views as the published code computes it, image by image."""
    model.eval()
    preds = model(inputs, mode='tensor')['patch_scores'][..., 2:, 2:].mT
    views = second[..., 16:, 16:].mT
    number = len(inputs)
    views = views[torch.arange(4 * -(-number // 4)) % number]
    rows = [torch.cat([views[i], views[i + 1]], dim=2) for i in range(0, len(views), 2)]
    merged = torch.stack([torch.cat(rows[i : i + 2], dim=1) for i in range(0, len(rows), 2)])
    merged_preds = model(merged, mode='tensor')['patch_scores']
    terms = []
    for n in range(number):
        row, column = divmod(n % 4, 2)
        rows, columns = (slice(2 * i, 2 * i + 2) for i in (row, column))
        found = merged_preds[n // 4, :, rows, columns]
        target = preds[n] * F.pad(samples[n].gt_score, (1, 0), value=1.0)[:, None, None]
        target = target / target.amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)
        target = target / target.sum(dim=0)
        terms.append(-(target * found.clamp(min=1e-7).log()).sum(dim=0).mean())
    return torch.stack(terms).mean()


@pytest.mark.parametrize('number', [1, 2, 4, 5])
@torch.no_grad()
def test_loss_between_the_views_step_by_step(number):
    model = build(**WITHOUT_CHANCE)
    model.transformation = Known()
    inputs, samples = batch(number)
    losses = model(inputs, samples, mode='loss')
    assert set(losses) == {'loss_cls', 'loss_et'}
    torch.testing.assert_close(losses['loss_et'], expected_loss(model, inputs, samples, inputs))


@torch.no_grad()
def test_second_view_is_normalised_as_the_image_is():
    model = build(**WITHOUT_CHANCE)
    model.transformation = Known()
    inputs, samples = batch()
    views = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    for sample, view in zip(samples, views, strict=True):
        sample.set_data(dict(second_view=view))
    second = (views.flip(1).float() - 127.5) / 127.5
    loss = model(inputs, samples, mode='loss')['loss_et']
    torch.testing.assert_close(loss, expected_loss(model, inputs, samples, second))
    assert (loss - expected_loss(model, inputs, samples, inputs)).abs() > 1e-3


def test_the_target_is_seen_without_dropout_and_gets_no_gradient():
    model, seen = build(), []
    model.cam_head.register_forward_hook(
        lambda module, _, out: seen.append((module.dropout.training, out[0].requires_grad))
    )
    model(*batch(), mode='loss')
    assert seen == [(True, True), (False, False), (True, True)]
    assert all(module.training for module in model.modules())


def test_training_goes_on_after_an_error():
    model = build()
    with pytest.raises(RuntimeError, match='stop'), model._without_chance():
        assert not model.training
        raise RuntimeError('stop')
    assert all(module.training for module in model.modules())
    assert torch.is_grad_enabled()


def test_every_parameter_learns_by_the_loss_between_the_views():
    model = build()
    model(*batch(), mode='loss')['loss_et'].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@torch.no_grad()
def test_padding_counts_for_nothing():
    """What the network says of padding is neither a maximum of a class nor a term of the loss."""
    model = build(**WITHOUT_CHANCE)
    model.transformation = Known()
    inputs, samples = batch(boxes=[(0, 0, 32, 32), (0, 0, 32, 24)])

    def loss(fill):
        calls = iter(range(3))

        def spoil(module, args, out):
            place = dict(enumerate(((1, slice(None), 3), (0, 1, slice(2, 4))), 1)).get(next(calls))
            if place is not None:  # the last column of the first view; where it lies in the second
                image, rows, columns = place
                out[0][image, :, rows, columns] *= fill
            return out

        hook = model.cam_head.register_forward_hook(spoil)
        found = model(inputs, samples, mode='loss')['loss_et']
        hook.remove()
        return found

    valid = []
    model.loss_et.register_forward_pre_hook(lambda _, args: valid.append(args[3]))
    assert torch.equal(loss(0.2), loss(5.0))
    assert valid[0][1, 0].tolist() == [[True, True], [False, False]]


def test_the_second_view_can_be_left_out():
    assert set(build(loss_et=None)(*batch(), mode='loss')) == {'loss_cls'}


@pytest.mark.parametrize('precision', [torch.float32, torch.bfloat16])
def test_losses_and_gradients_are_finite(precision):
    model = build()
    with torch.no_grad():
        model.cam_head.conv_cam.weight.mul_(1e3)
    with torch.autocast('cpu', torch.bfloat16, enabled=precision == torch.bfloat16):
        losses = model(*batch(3), mode='loss')
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


# the configs


@pytest.mark.parametrize('data', ['voc', 'coco'])
def test_decay_is_the_published_term_of_the_classifier(repo, data):
    """The published loss has 0.01 times the square of its weights."""
    cfg = Config.fromfile(repo / f'configs/apc/vit-pcm_vit-b_{data}.py')
    model = build()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    weight = model.cam_head.conv_cam.weight
    decays = {
        id(p): group['weight_decay'] for group in wrapper.optimizer.param_groups
        for p in group['params']
    }  # fmt: skip
    assert {n for n, p in model.named_parameters() if decays[id(p)]} == {'cam_head.conv_cam.weight'}
    (gradient,) = torch.autograd.grad(0.01 * weight.square().sum(), weight)
    torch.testing.assert_close(decays[id(weight)] * weight, gradient)
    assert type(wrapper.optimizer) is torch.optim.Adam  # AdamW would not add it to the gradient


def test_schedule_is_that_of_the_published_code(repo):
    cfg = Config.fromfile(repo / 'configs/apc/vit-pcm_vit-b_voc.py')
    freeze = next(hook for hook in cfg.custom_hooks if hook.type == 'FreezeHook')
    assert (cfg.train_cfg.max_iters, freeze.until) == (80 * 661, 661)
    assert cfg.param_scheduler[0].milestones == [661]
    assert cfg.train_dataloader.batch_size == 16
