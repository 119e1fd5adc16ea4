"""AFA on a tiny network: outputs, gradients, predictions, test-time augmentation, errors."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.models import CAMTTAModel, CRFTTAModel, ScaleMaxTTAModel
from mmwsss.models.segmentors.afa_routes import affinity_route_scores, cam_route_scores
from mmwsss.models.segmentors.crf_prediction import original_image
from mmwsss.models.segmentors.online_labels import eight_bit_images
from mmwsss.ops import (
    min_max_norm,
    normalize_cam,
    pad_tags,
    tagged_labels,
)
from tests.weak_data import make_image, save_image

pytestmark = pytest.mark.stack
SIZE = (64, 80)
GRID = (4, 5)
CRF = dict(type='DenseCRF', num_iters=2)
# weights are large here, batches and single images are computed in another order
TOLERANCE = dict(rtol=1e-3, atol=1e-3)


def changed(cfg, changes):
    """Return a copy of a config with other values at some places."""
    cfg = copy.deepcopy(cfg)
    for place, value in changes.items():
        *parents, last = place.split('.')
        part = cfg
        for parent in parents:
            part = part[parent]
        part[last] = value
    return cfg


@pytest.fixture(scope='module')
def cfg(repo):
    """Return the public tiny model with four classes."""
    cfg = Config.fromfile(repo / 'configs/_base_/models/afa_mit-tiny.py').model
    cfg.backbone.update(embed_dims=8, num_heads=[1, 2, 2, 4], strides=[4, 2, 2, 1])
    cfg.cam_head.update(in_channels=32, num_classes=4, pooling='gmp', pool_on='features')
    cfg.update(cam_scales=(1.0, 0.5, 1.5), radius=4)
    # those of the public model
    cfg.test_cfg.update(bg_score=0.45, spread_bg_score=0.35)
    cfg.decode_head.update(in_channels=[8, 16, 16, 32], channels=8, num_classes=4)
    return cfg


@pytest.fixture
def build(cfg):
    """Build the model with some settings of its parts changed, alike each time."""

    def build(test_cfg=None, **changes):
        torch.manual_seed(0)
        changed_cfg = changed(cfg, changes)
        changed_cfg.test_cfg.update(test_cfg or {})
        model = MODELS.build(changed_cfg).eval()
        # untrained, one class would win everywhere
        with torch.no_grad():
            for head in (model.cam_head.conv_cam, model.decode_head.conv_seg):
                head.weight.normal_(std=3.0)
        return model

    return build


def samples(number=2):
    out = []
    for i in range(number):
        meta = dict(img_path='dog.jpg', ori_shape=SIZE, img_shape=SIZE)
        out.append(SegDataSample(metainfo=meta))
        out[-1].set_data(dict(gt_score=torch.tensor([1.0, float(i), 0.0])))
    return out


def images(number=2):
    return torch.randn(number, 3, *SIZE)


# the network


def test_tensor_mode_gives_everything_of_one_pass(build):
    model, passes = build(), []
    model.backbone.register_forward_hook(lambda *_: passes.append(1))
    outputs = model(images(), mode='tensor')
    assert {k: tuple(v.shape) for k, v in outputs.items()} == dict(
        cls=(2, 3), seg=(2, 4, 16, 20), attn_logit=(2, 20, 20), attn_pred=(2, 20, 20),
        cam=(2, 3, *GRID),
    )  # fmt: skip
    assert len(passes) == 1
    assert torch.equal(outputs['attn_pred'], outputs['attn_logit'].sigmoid())
    assert not outputs['cam'].requires_grad
    feats = model.extract_feat(torch.ones(1, 3, *SIZE))
    scores = model.cam_head.conv_cam(feats[-1].amax((2, 3), keepdim=True)).flatten(1)
    torch.testing.assert_close(model(torch.ones(1, 3, *SIZE), mode='tensor')['cls'], scores)


def test_gradients_reach_every_parameter(build):
    model = build().train()
    outputs = model(images(), mode='tensor')
    sum(outputs[key].square().mean() for key in ('cls', 'seg', 'attn_pred')).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_affinity_trains_the_encoder(build):
    model = build()
    model(images(), mode='tensor')['attn_pred'].mean().backward()
    with_gradient = {n.split('.')[0] for n, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {'backbone', 'affinity_head'}
    assert model.backbone.layers[0][0].projection.weight.grad.any()


def test_the_affinity_head_follows_the_backbone(build):
    model = build(**{'backbone.num_heads': [1, 1, 1, 2], 'backbone.attention_blocks': (-1,),
                     'backbone.embed_dims': 16, 'cam_head.in_channels': 32,
                     'decode_head.in_channels': [16, 16, 16, 32]})  # fmt: skip
    assert model.affinity_head.conv.in_channels == 2
    assert model(images(), mode='tensor')['attn_pred'].shape == (2, 20, 20)


def test_decoder_has_linear_layers_before_the_fusion(build):
    head = build().decode_head
    assert all(isinstance(c.conv, torch.nn.Conv2d) and c.conv.bias is not None for c in head.convs)
    assert not any(c.with_norm or c.with_activation for c in head.convs)
    assert head.fusion_conv.with_norm
    assert head.fusion_conv.with_activation
    assert head.dropout.p == 0.1


# class activation maps


@pytest.mark.parametrize('scales', [(1.0, 0.5, 1.5), (0.5, 1.0), (1.5,), (0.5,)])
def test_multi_scale_cams_by_hand(build, scales):
    model, x = build(cam_scales=scales), images()
    found = model.multi_scale_cams(x)
    expected = 0
    for scale in scales:
        view = F.interpolate(x, [int(n * scale) for n in SIZE], mode='bilinear')
        pair = []
        for flip in (False, True):
            outputs = model(view.flip(3) if flip else view, mode='tensor')
            cam = F.interpolate(outputs['cam'], SIZE, mode='bilinear')
            pair.append(cam.flip(3) if flip else cam)
            if scale == max(scales) and not flip:
                torch.testing.assert_close(found.affinity, outputs['attn_pred'].detach())
                assert found.grid == tuple(outputs['cam'].shape[2:])
        expected = expected + torch.maximum(*pair).relu()
    torch.testing.assert_close(found.cams, expected)
    assert not found.affinity.requires_grad


@pytest.mark.parametrize(('scales', 'passes'), [((1.0, 0.5, 1.5), 5), ((0.5, 1.0), 3)])
def test_the_training_pass_is_shared_and_nothing_learns(build, scales, passes):
    model, x = build(cam_scales=scales).train(), images()
    # without chance, but in training
    for part in model.modules():
        if hasattr(part, 'drop_prob') or isinstance(part, torch.nn.Dropout):
            part.eval()
    state = copy.deepcopy(model.state_dict())
    expected = model.multi_scale_cams(x)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    outputs, seen = model(x, mode='tensor'), []
    model.backbone.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    shared = model.multi_scale_cams(x, outputs)
    torch.testing.assert_close(shared.cams, expected.cams)
    torch.testing.assert_close(shared.affinity, expected.affinity)
    assert sum(seen) == 2 * passes
    assert not shared.affinity.requires_grad
    assert not shared.cams.requires_grad


def test_small_images_have_small_views_all_the_same(build):
    model, sizes = build(), []
    model.backbone.register_forward_hook(lambda _, args, __: sizes.append(args[0].shape[2:]))
    assert model.multi_scale_cams(torch.randn(1, 3, 34, 70)).cams.shape == (1, 3, 34, 70)
    assert set(sizes) == {(34, 70), (32, 35), (51, 105)}


def test_maps_spread_where_the_affinity_says(build):
    model = build(dict(output='affinity_cam', spread_bg_score=0.5), radius=1)
    cams = torch.zeros(1, 3, 1, 4)
    cams[0, 1] = torch.tensor([1.0, 0, 0, 0])
    links = torch.eye(4)
    links[0, 1:] = links[1:, 0] = 1
    spread = model.spread_cams(cams, links[None], (1, 4), torch.tensor([[0.0, 1, 0]]))
    assert spread.shape == (1, 4, 1, 4)
    assert not spread[0, [1, 3]].any()
    # cell 1 hears of cell 0 beside it, cell 2 does not
    first, second = (1 + np.exp(np.array([-0.5, 0.5]))) ** -1
    expected = torch.tensor([(first + second) / 2.1, (first + second) / 2.1, second / 1.1])
    torch.testing.assert_close(spread[0, 2, 0, :3].double(), expected.double(), rtol=1e-5, atol=0)


# predictions


@pytest.mark.parametrize('output', ['seg', 'cam', 'affinity_cam', 'cam_label', 'affinity_label'])
def test_predictions_have_the_size_of_the_original_image(build, output):
    model = build(dict(output=output))
    data_samples = samples()
    data_samples[1].set_metainfo(dict(ori_shape=(21, 30)))
    x = images()
    with torch.no_grad():
        found = model(x, data_samples, mode='predict')
        expected = model(x, mode='tensor')['cls'].sigmoid()
    assert [tuple(s.pred_sem_seg.data.shape) for s in found] == [(1, *SIZE), (1, 21, 30)]
    assert [tuple(s.seg_logits.data.shape) for s in found] == [(4, *SIZE), (4, 21, 30)]
    torch.testing.assert_close(torch.stack([s.pred_score for s in found]), expected)
    assert all(('cams' in s) == (output != 'seg') for s in found)
    if output != 'seg':
        assert found[1].cams.data.shape == (3, 21, 30)
        # the third class has no tag
        assert all((s.pred_sem_seg.data < 3).all() for s in found)
        assert set(found[1].pred_sem_seg.data.unique().tolist()) & {1, 2}


def test_predicted_maps_are_those_of_training(build):
    model, x = build(dict(output='cam')), images(1)
    with torch.no_grad():
        sample = model(x, samples(1), mode='predict')[0]
    cams = model.multi_scale_cams(x).cams[0]
    torch.testing.assert_close(sample.cams.data, cams)
    torch.testing.assert_close(sample.seg_logits.data[1], normalize_cam(cams[0]))
    assert (sample.seg_logits.data[0] == 0.45).all()


def test_affinity_cam_spreads_the_maps_of_predicted_classes_without_tags(build):
    model, x = build(dict(output='affinity_cam', use_image_labels=False)), images(1)
    model.cam_head.pool = lambda maps: maps.new_zeros(len(maps), 32)
    with torch.no_grad():
        sample = model(x, None, mode='predict')[0]
        assert (sample.pred_score == 0.5).all()
        cams = model.multi_scale_cams(x).cams
        # at the scale of the image, not at the largest
        outputs = model(x, mode='tensor')
        affinity, grid = outputs['attn_pred'], tuple(outputs['cam'].shape[2:])
        cams = (cams - cams.amin((2, 3), True)) / (
            cams.amax((2, 3), True) - cams.amin((2, 3), True) + 1e-5
        )
        spread = model.spread_cams(cams, affinity, grid, torch.ones(1, 3))
    expected = F.interpolate(spread, SIZE, mode='bilinear')[0]
    torch.testing.assert_close(sample.seg_logits.data, expected)
    torch.testing.assert_close(sample.cams.data, expected[1:])


@pytest.mark.parametrize('data', ['voc', 'coco'])
def test_spread_maps_have_the_published_background_score(repo, data):
    cfg = Config.fromfile(repo / f'configs/afa/afa_mit-b1_{data}.py').model.test_cfg
    assert (cfg.bg_score, cfg.spread_bg_score) == (0.45, 0.35)


@pytest.mark.parametrize(('output', 'bg_score'), [('cam_label', 0.4), ('affinity_label', 0.3)])
def test_labels_are_those_of_training_with_one_background_score(build, output, bg_score):
    model = build(dict(output=output, bg_score=0.4, spread_bg_score=0.3))
    x, data_samples = images(), samples()
    with torch.no_grad():
        found = model(x, data_samples, mode='predict')
        cams, affinity, grid = model.multi_scale_cams(x)
    preprocessor = model.data_preprocessor
    rgb = eight_bit_images(x, preprocessor.mean, preprocessor.std) / 255
    classes = pad_tags([torch.tensor([0]), torch.tensor([0, 1])])
    settings = dict(refine=model.refine, bg_scores=[bg_score])
    cams = min_max_norm(cams)
    if output == 'cam_label':
        scores = cam_route_scores(rgb, cams, classes, **settings)
    else:
        settings.update(grid=grid, radius=model.radius)
        scores = affinity_route_scores(rgb, cams, affinity, classes, **settings)
    for sample, labels in zip(found, tagged_labels(scores, classes), strict=True):
        assert torch.equal(sample.pred_sem_seg.data[0], labels.long())


@pytest.mark.parametrize('refiner', ['PAR', 'PAMR', 'DenseCRF'])
def test_labels_follow_the_refiner(build, refiner):
    torch.manual_seed(3)
    x = images()
    found = []
    for cfg in (None, dict(type=refiner, num_iters=2)):
        model = build(dict(output='cam_label'), refiner=cfg)
        with torch.no_grad():
            found.append(model(x, samples(), mode='predict')[1].pred_sem_seg.data)
    assert not torch.equal(*found)


def test_exponent_of_the_affinity(build):
    x, found = images(1), []
    for exponent in (2.0, 4.0):
        model = build(dict(output='affinity_cam'), spread_exponent=exponent)
        with torch.no_grad():
            found.append(model(x, samples(1), mode='predict')[0].seg_logits.data)
    assert not torch.allclose(*found)


def test_affinity_cam_needs_tags_or_leave_to_go_without(build):
    with pytest.raises(ValueError, match='has no image-level labels'):
        build(dict(output='affinity_cam'))(images(1), None, mode='predict')


def test_predicting_masks_asks_for_no_attention(build):
    model, asked = build(), []
    model.backbone.register_forward_hook(
        lambda _, __, kwargs, ___: asked.append(kwargs.get('return_attention')), with_kwargs=True
    )
    model(images(1), samples(1), mode='predict')
    assert asked == [None]


# test-time augmentation and the dense CRF


@pytest.fixture
def picture(tmp_path):
    """Packed image from a file, and its array."""
    image = make_image([1, 2], SIZE, 0)[0]
    save_image(tmp_path / 'dog.png', image)
    meta = dict(img_path=str(tmp_path / 'dog.png'), ori_shape=SIZE, img_shape=SIZE)
    return torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy()), meta


def batch(picture, views=0):
    inputs, meta = picture
    one = dict(inputs=[inputs], data_samples=[SegDataSample(metainfo=meta)])
    return {k: [copy.deepcopy(v) for _ in range(views)] for k, v in one.items()} if views else one


def by_hand(model, inputs, scales, long_side=None):
    """Merge logits by the text of the paper's code, one view at a time."""
    if long_side:
        factor = long_side / max(SIZE)
        inputs = F.interpolate(inputs, [int(n * factor) for n in SIZE], mode='bilinear')
    merged = []
    for scale in scales:
        x = F.interpolate(inputs, scale_factor=scale, mode='bilinear') if scale != 1 else inputs
        one, two = model.decode(x), model.decode(x.flip(3)).flip(3)
        size = merged[0].shape[2:] if merged else one.shape[2:]
        merged.append(F.interpolate((one + two) / 2, size, mode='bilinear'))
    return torch.stack(merged).amax(0)


@pytest.mark.parametrize('long_side', [None, 77])
@pytest.mark.parametrize('scales', [(1.0, 0.5, 0.75), (0.7, 1.3)])
@torch.no_grad()
def test_scales_are_maximised_after_the_mirror_is_averaged(build, picture, scales, long_side):
    model = build()
    tta = ScaleMaxTTAModel(model, scales, long_side=long_side)
    sample = tta.test_step(batch(picture))[0]
    inputs = model.data_preprocessor(batch(picture), False)['inputs']
    merged = by_hand(model, inputs, scales, long_side)
    torch.testing.assert_close(tta.merged_logits(inputs), merged, **TOLERANCE)
    logits = F.interpolate(merged, SIZE, mode='bilinear')[0]
    torch.testing.assert_close(sample.seg_logits.data, logits, **TOLERANCE)
    assert (sample.pred_sem_seg.data[0] == logits.argmax(0)).float().mean() > 0.999


@torch.no_grad()
def test_padding_is_cut_off_before_the_views_are_made(build, picture):
    plain = ScaleMaxTTAModel(build()).test_step(batch(picture))[0]
    padding = dict(type='WeakDataPreProcessor', test_cfg=dict(size_divisor=48))
    changes = {f'data_preprocessor.{k}': v for k, v in padding.items()}
    padded = ScaleMaxTTAModel(build(**changes)).test_step(batch(picture))[0]
    assert padded.metainfo['pad_shape'] == (96, 96)
    torch.testing.assert_close(padded.seg_logits.data, plain.seg_logits.data)


@pytest.mark.parametrize('tta', [None, ScaleMaxTTAModel, CRFTTAModel])
@torch.no_grad()
def test_crf_refines_masks_once(build, picture, tta):
    results, calls = [], []
    for crf in (None, CRF):
        model = build(dict(crf=crf))
        if crf:
            model.crf.register_forward_hook(lambda *_: calls.append(1))
        data = batch(picture, views=2 if tta is CRFTTAModel else 0)
        results.append((tta(model) if tta else model).test_step(data)[0])
    plain, refined = (sample.seg_logits.data for sample in results)
    image = original_image(results[0])[None]
    expected = MODELS.build(CRF)(image, plain[None].softmax(1))[0]
    torch.testing.assert_close(refined.softmax(0), expected)
    assert torch.equal(results[1].pred_sem_seg.data[0], expected.argmax(0))
    assert len(calls) == 1
    assert not any(name.startswith('crf') for name in model.state_dict())


@torch.no_grad()
def test_views_of_cams_are_summed_as_those_of_any_segmentor(build, picture):
    model = build(dict(output='cam', use_image_labels=False))
    single = model.test_step(batch(picture))[0].cams.data
    merged = CAMTTAModel(model).test_step(batch(picture, views=2))[0].cams.data
    torch.testing.assert_close(merged, 2 * single)


@pytest.mark.parametrize('tta', [CRFTTAModel, ScaleMaxTTAModel])
def test_tta_of_masks_refuses_maps(build, tta):
    with pytest.raises(ValueError, match=f"{tta.__name__}: merges the logits.*output='cam'"):
        tta(build(dict(output='cam')))


@pytest.mark.parametrize('options', [dict(scales=()), dict(scales=(1, 0)), dict(long_side=0)])
def test_wrong_scales_are_refused(build, options):
    with pytest.raises(ValueError, match='scales and long_side must be positive, got'):
        ScaleMaxTTAModel(build(), **options)


def test_views_of_the_pipeline_are_refused(build, picture):
    with pytest.raises(ValueError, match='leave TestTimeAug out of tta_pipeline'):
        ScaleMaxTTAModel(build()).test_step(batch(picture, views=2))


# what is refused


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'backbone.type': 'MixVisionTransformer'}, 'must return attention.*MixVisionTransformer'),
        ({'backbone.attention_blocks': ()}, 'must return attention.*got AttentionMiT'),
        ({'decode_head': None, 'test_cfg.output': 'cam'}, 'AFA: needs a decode_head'),
        ({'cam_head.with_background': True}, 'must have with_background=False'),
        ({'cam_scales': ()}, r'cam_scales must be positive, got \(\)'),
        ({'cam_scales': (1, -0.5)}, r'cam_scales must be positive, got \(1, -0.5\)'),
        ({'radius': -1}, 'radius must not be negative, got -1'),
        ({'test_cfg.output': 'mask'}, 'test_cfg.output must be one of .*affinity_cam'),
        (
            {'test_cfg.output': 'cam', 'test_cfg.crf': CRF},
            "crf refines the output 'seg', got 'cam'",
        ),
        (
            {'test_cfg.output': 'affinity_cam', 'test_cfg.bg_score': dict(alpha=4)},
            "needs mode='whole' and a constant bg_score",
        ),
        (
            {
                'test_cfg.output': 'affinity_cam',
                'test_cfg.mode': 'slide',
                'test_cfg.crop_size': (32, 32),
                'test_cfg.stride': (16, 16),
            },
            "needs mode='whole' and a constant bg_score",
        ),
    ],
)
def test_wrong_settings_are_refused(cfg, changes, message):
    cfg = copy.deepcopy(cfg)
    if changes.get('backbone.type') == 'MixVisionTransformer':
        for key in ('attention_blocks', 'embed_norm_cfg'):
            cfg.backbone.pop(key)
    with pytest.raises(ValueError, match=message):
        MODELS.build(changed(cfg, changes))


def test_attention_with_reduced_keys_is_refused(build):
    model = build(**{'backbone.attention_blocks': (0, -1)})
    with pytest.raises(ValueError, match='choose blocks without spatial reduction'):
        model(images(), mode='tensor')
