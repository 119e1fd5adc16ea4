"""The baseline segmentor, SEAM and the test-time augmentation on tiny networks."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.models import CAMTTAModel
from mmwsss.models.utils import image_labels
from mmwsss.ops import normalize_cam

pytestmark = pytest.mark.stack
BACKBONE = dict(
    type='ResNet38d',
    width=1 / 16,
    depths=(1, 1, 1, 1, 1, 1),
    frozen_stages=-1,
    norm_eval=False,
    norm_cfg=dict(type='BN'),
)
WEAK = dict(
    type='WeakSegmentor',
    backbone=BACKBONE,
    cam_head=dict(type='CAMHead', in_channels=256, num_classes=4),
    data_preprocessor=dict(type='WeakDataPreProcessor', size=(32, 40)),
)
SEAM = dict(
    WEAK,
    type='SEAM',
    cam_head=dict(type='CAMHead', in_channels=256, num_classes=4, with_background=True),
    pcm=dict(type='PixelCorrelation', in_channels=(32, 64), embed_channels=(8, 8), channels=16),
    loss_er=dict(type='EquivariantLoss'),
    loss_ecr=dict(type='EquivariantCrossLoss'),
    loss_rvmin=dict(type='MinPoolingLoss'),
)
DECODER = dict(
    type='FCNHead',
    in_channels=256,
    channels=8,
    num_convs=1,
    num_classes=4,
    norm_cfg=dict(type='BN'),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
)


def build(cfg, **changes):
    return MODELS.build(copy.deepcopy({**cfg, **changes}))


def batch(sizes=((32, 40), (32, 40)), labels=((1, 0, 0), (0, 1, 1)), **meta):
    samples = []
    for size, label in zip(sizes, labels, strict=True):
        sample = SegDataSample(
            metainfo=dict(img_path='dog.jpg', ori_shape=size, img_shape=size, **meta)
        )
        sample.set_data(
            dict(
                gt_score=torch.tensor(label, dtype=torch.float32),
                gt_sem_seg=PixelData(data=torch.ones(1, *size, dtype=torch.int64)),
            )
        )
        samples.append(sample)
    return torch.randn(len(sizes), 3, 32, 40), samples


@pytest.mark.parametrize(
    ('cfg', 'keys'),
    [
        (WEAK, {'loss_cls'}),
        (SEAM, {'loss_cls', 'loss_er', 'loss_ecr', 'loss_rvmin'}),
        (dict(WEAK, decode_head=DECODER), {'loss_cls', 'decode.loss_ce', 'decode.acc_seg'}),
    ],
)
def test_losses_reach_every_parameter(cfg, keys):
    model = build(cfg).train()
    losses = model(*batch(), mode='loss')
    assert set(losses) == keys
    model.parse_losses(losses)[0].backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize('name', ['loss_er', 'loss_ecr', 'loss_rvmin'])
def test_losses_can_be_left_out(name):
    losses = build(SEAM, **{name: None})(*batch(), mode='loss')
    assert name not in losses
    assert len(losses) == 3


@pytest.mark.parametrize('kind', ['Rescale', 'Flip', 'Rotate', 'Translate'])
def test_every_transformation_trains(kind):
    model = build(SEAM, transformation=dict(type=f'Equivariant{kind}'))
    losses = model(*batch(), mode='loss')
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_pixels_from_outside_the_image_are_left_out_of_both_losses():
    model = build(SEAM, transformation=dict(type='EquivariantRotate', max_angle=40.0))
    masks = []
    for name in ('loss_er', 'loss_ecr'):
        getattr(model, name).register_forward_pre_hook(lambda module, args: masks.append(args[-1]))
    model(*batch(), mode='loss')
    assert [tuple(mask.shape) for mask in masks] == [(2, 1, 32, 40)] * 3
    assert 0 < masks[0].mean() < 1


def test_pixel_correlation_moves_no_features():
    pcm = build(SEAM).pcm
    feats = [torch.randn(1, c, 4, 5, requires_grad=True) for c in (16, 32, 64, 256)]
    cams = torch.rand(1, 4, 4, 5, requires_grad=True)
    pcm(torch.randn(1, 3, 32, 40), cams, feats).sum().backward()
    assert all(x.grad is None for x in feats)
    assert cams.grad.any()
    assert all(p.grad.any() for p in pcm.parameters())


def test_maps_are_averaged_over_pixels_with_similar_features():
    feats = [torch.randn(1, 3, 8, 8), torch.randn(1, 5, 4, 4), torch.randn(1, 2, 2, 2)]
    cams = torch.rand(1, 2, 4, 4)
    refined = MODELS.build(dict(type='FeatureCorrelation'))(None, cams, feats)
    same = [
        torch.nn.functional.avg_pool2d(feats[0], 2),
        feats[1],
        torch.nn.functional.interpolate(feats[2], scale_factor=2, mode='bilinear'),
    ]
    vectors = torch.cat([torch.nn.functional.normalize(x, dim=1) for x in same], dim=1)[0]
    vectors = vectors.flatten(1) - vectors.flatten(1).mean(1, keepdim=True)
    cosine = torch.nn.functional.normalize(vectors, dim=0)
    affinity = (cosine.T @ cosine).clamp(min=0)
    expected = cams.flatten(2) @ (affinity / affinity.sum(0))
    torch.testing.assert_close(refined.flatten(2), expected, rtol=1e-3, atol=1e-4)
    single = MODELS.build(dict(type='FeatureCorrelation', in_indices=(0,)))
    one = torch.ones(1, 2, 1, 1)
    torch.testing.assert_close(single(None, one, [torch.ones(1, 3, 1, 1)]), one, rtol=0, atol=1e-3)


def test_the_baseline_predicts_refined_maps_where_it_has_a_module_for_it():
    pcm = dict(type='FeatureCorrelation', in_indices=(1, 2))
    model = build(WEAK, pcm=pcm).eval()
    inputs = batch()[0]
    outputs = model(inputs, mode='tensor')
    assert outputs['cam_rv'].shape == outputs['cam'].shape
    feats = model.extract_feat(inputs)
    expected = model.pcm(inputs, outputs['cam'].relu(), feats)
    torch.testing.assert_close(model.predict_maps(inputs)[0], expected)
    assert not torch.allclose(expected, outputs['cam'])
    # the state is that of the baseline: nothing is learned
    assert model.state_dict().keys() == build(WEAK).state_dict().keys()


def test_a_method_with_other_maps_takes_no_module_for_them():
    with pytest.raises(ValueError, match='GradCAMSegmentor takes no pcm: leave it out'):
        build(WEAK, type='GradCAMSegmentor', pcm=dict(type='FeatureCorrelation'))


def test_equivariant_maps_cost_nothing_under_a_flip():
    # a network of pointwise operations is equivariant: only numerical noise is left
    model = build(SEAM, transformation=dict(type='EquivariantFlip')).eval()
    model.extract_feat = lambda x: [x.mean(1, keepdim=True).expand(-1, c, -1, -1) for c in
                                    (16, 32, 64, 256)]  # fmt: skip
    losses = model(*batch(), mode='loss')
    assert losses['loss_er'] < 1e-6


def test_tensor_mode_of_the_baseline():
    outputs = build(WEAK, decode_head=DECODER).eval()(batch()[0], mode='tensor')
    assert {k: tuple(v.shape) for k, v in outputs.items()} == dict(
        cam=(2, 3, 4, 5), cls=(2, 3), seg=(2, 4, 4, 5)
    )


def test_tensor_mode_of_seam():
    outputs = build(SEAM).eval()(batch()[0], mode='tensor')
    assert {k: tuple(v.shape) for k, v in outputs.items()} == dict(
        cam=(2, 4, 32, 40), cam_rv=(2, 4, 32, 40), cls=(2, 3)
    )


@pytest.mark.parametrize('cfg', [WEAK, SEAM])
def test_predictions_have_the_size_of_the_original_image(cfg):
    model = build(cfg).eval()
    with torch.no_grad():
        first, second = model(*batch(sizes=((32, 40), (21, 26))), mode='predict')
    assert first.pred_sem_seg.data.shape == (1, 32, 40)
    assert second.cams.data.shape == (3, 21, 26)
    assert second.seg_logits.data.shape == (4, 21, 26)
    assert second.pred_score.shape == (3,)
    assert set(first.pred_sem_seg.data.unique().tolist()) <= {0, 1}
    assert set(second.pred_sem_seg.data.unique().tolist()) <= {0, 2, 3}


def test_predicted_scores_are_the_background_and_the_normalised_maps():
    model = build(WEAK, test_cfg=dict(bg_score=0.3)).eval()
    inputs, samples = batch()
    with torch.no_grad():
        raw = model(inputs, mode='tensor')
        sample = model(inputs, samples, mode='predict')[1]
    # raw: of all classes, negatives too
    full = torch.nn.functional.interpolate(raw['cam'], (32, 40), mode='bilinear')[1]
    assert full.min() < 0
    tags = image_labels([sample], 4, 'cpu')[0]
    torch.testing.assert_close(sample.cams.data, full * tags[:, None, None])
    logits = sample.seg_logits.data
    torch.testing.assert_close(logits[0], torch.full((32, 40), 0.3))
    torch.testing.assert_close(logits[1], torch.full((32, 40), -1.0))
    torch.testing.assert_close(logits[2:], normalize_cam(sample.cams.data[1:]))
    torch.testing.assert_close(sample.pred_score, raw['cls'][1].sigmoid())
    torch.testing.assert_close(sample.pred_sem_seg.data[0], logits.argmax(0))


def test_background_score_as_a_power():
    model = build(WEAK, test_cfg=dict(bg_score=dict(alpha=4))).eval()
    with torch.no_grad():
        logits = model(*batch(), mode='predict')[0].seg_logits.data
    torch.testing.assert_close(logits[0], (1 - logits[1].clamp(min=0)) ** 4)


def test_without_tags_the_predicted_classes_compete():
    model = build(WEAK, test_cfg=dict(use_image_labels=False)).eval()
    inputs, samples = batch()
    for sample in samples:
        del sample.gt_score, sample.gt_sem_seg
    with torch.no_grad():
        outputs = model(inputs, samples, mode='predict')
    for sample in outputs:
        suppressed = (sample.seg_logits.data[1:] == -1).all(2).all(1)
        assert torch.equal(suppressed, sample.pred_score < 0.5)


def test_tags_are_asked_for_when_they_are_to_be_used():
    inputs, samples = batch()
    for sample in samples:
        del sample.gt_score, sample.gt_sem_seg
    with pytest.raises(ValueError, match='dog.jpg has no image-level labels'):
        build(WEAK).eval()(inputs, samples, mode='predict')


def test_image_without_any_class_is_background():
    model = build(WEAK).eval()
    inputs, samples = batch(labels=((0, 0, 0), (0, 0, 0)))
    with torch.no_grad():
        assert model(inputs, samples, mode='predict')[0].pred_sem_seg.data.sum() == 0


def test_padding_is_cut_off_and_mirrored_views_are_turned_back():
    model = build(WEAK).eval()
    inputs, samples = batch()
    with torch.no_grad():
        plain = model(inputs, copy.deepcopy(samples), mode='predict')[0].cams.data
        for sample in samples:
            sample.set_metainfo(dict(flip=True, flip_direction='horizontal'))
        flipped = model(inputs, copy.deepcopy(samples), mode='predict')[0].cams.data
        for sample in samples:
            sample.set_metainfo(dict(flip=False, padding_size=[0, 8, 0, 0], ori_shape=(32, 32)))
        cut = model(inputs, samples, mode='predict')[0].cams.data
    torch.testing.assert_close(flipped, plain.flip(-1))
    torch.testing.assert_close(cut, plain[..., :32])


def test_sliding_window_of_the_whole_image_is_the_whole_image():
    inputs, samples = batch()
    whole = build(WEAK).eval()
    slide = build(WEAK, test_cfg=dict(mode='slide', crop_size=(32, 40), stride=(16, 16))).eval()
    slide.load_state_dict(whole.state_dict())
    with torch.no_grad():
        expected = whole(inputs, copy.deepcopy(samples), mode='predict')[0]
        got = slide(inputs, samples, mode='predict')[0]
    torch.testing.assert_close(got.cams.data, expected.cams.data)
    torch.testing.assert_close(got.pred_score, expected.pred_score)


def test_windows_are_merged_as_mmseg_does():
    window = dict(mode='slide', crop_size=(24, 24), stride=(7, 9))
    model = build(WEAK, test_cfg=window).eval()
    inputs, samples = batch()
    seen = []

    def encode_decode(crop, metas):
        maps, scores = model._input_maps(crop, None)
        seen.append(scores)
        # image scores as constant planes, whose mean over the pixels is that of the windows
        return torch.cat([maps, scores[..., None, None].expand(-1, -1, *crop.shape[2:])], dim=1)

    stub = SimpleNamespace(test_cfg=model.test_cfg, out_channels=6, encode_decode=encode_decode)
    with torch.no_grad():
        expected = EncoderDecoder.slide_inference(stub, inputs, [{}])
        maps, scores = model._slide(inputs, None)
        some = model._slide(inputs, torch.tensor([2]))[0]
    assert len(seen) == 9
    torch.testing.assert_close(maps, expected[:, :3])
    torch.testing.assert_close(some, maps[:, 2:])
    torch.testing.assert_close(scores, expected[:, 3:].mean(dim=(2, 3)))


def test_decoder_output():
    model = build(WEAK, decode_head=DECODER, test_cfg=dict(output='seg')).eval()
    with torch.no_grad():
        sample = model(*batch(), mode='predict')[0]
    assert sample.seg_logits.data.shape == (4, 32, 40)
    assert 'cams' not in sample
    assert torch.equal(sample.pred_sem_seg.data[0], sample.seg_logits.data.argmax(0))


def test_tta_sums_views_then_normalises():
    module = build(WEAK).eval()
    tta = CAMTTAModel(module=module)
    view = dict(ori_shape=(32, 40), img_shape=(32, 40))
    views = [dict(view, flip=False), dict(view, flip=True, flip_direction='horizontal')]
    image = torch.randint(0, 255, (3, 32, 40), dtype=torch.uint8)
    data = dict(inputs=[[image], [image.flip(-1)]], data_samples=[])
    for meta in views:
        sample = batch()[1][1]
        sample.set_metainfo(meta)
        data['data_samples'].append([sample])
    with torch.no_grad():
        single = [
            module.test_step(dict(inputs=i, data_samples=copy.deepcopy(s)))[0]
            for i, s in zip(data['inputs'], data['data_samples'], strict=True)
        ]
        merged = tta.test_step(data)[0]
    cams = sum(s.cams.data for s in single)
    torch.testing.assert_close(merged.cams.data, cams)
    torch.testing.assert_close(merged.seg_logits.data[2:], normalize_cam(cams[1:]))
    torch.testing.assert_close(
        merged.pred_score, torch.stack([s.pred_score for s in single]).mean(0)
    )
    assert merged.gt_sem_seg.data.shape == (1, 32, 40)


@pytest.mark.parametrize('cfg', [WEAK, SEAM])
def test_bfloat16_and_channels_last_give_the_same_maps(cfg):
    model = build(cfg).eval()
    inputs = batch()[0]
    with torch.no_grad():
        expected = model(inputs, mode='tensor')[model.cam_key][:, -3:].float()
        model = model.to(memory_format=torch.channels_last)
        with torch.autocast('cpu', torch.bfloat16):
            got = model(inputs.contiguous(memory_format=torch.channels_last), mode='tensor')
    got = normalize_cam(got[model.cam_key][:, -3:].float())
    assert (got - normalize_cam(expected)).abs().mean() < 1e-2


@pytest.mark.parametrize(
    ('test_cfg', 'message'),
    [
        (dict(outputs='cam'), 'test_cfg has no outputs'),
        (dict(output='logits'), 'test_cfg.output must be one of'),
        (dict(output='seg'), "output='seg' needs a decode_head"),
        (dict(mode='slide'), "mode='slide' needs crop_size and stride"),
    ],
)
def test_test_cfg_is_checked(test_cfg, message):
    with pytest.raises(ValueError, match=message):
        build(WEAK, test_cfg=test_cfg)


def test_seam_asks_for_the_background_channel():
    with pytest.raises(ValueError, match='with_background=True'):
        build(SEAM, cam_head=WEAK['cam_head'])


def test_configs_are_not_changed_by_building():
    cfg = copy.deepcopy(WEAK)
    MODELS.build(dict(cfg, pretrained='nowhere.pth'))
    assert cfg == WEAK


@pytest.mark.parametrize('after', [True, False])
def test_padding_after_normalising_is_the_mean_colour(after):
    cfg = dict(
        type='WeakDataPreProcessor', mean=[1, 2, 3], std=[2, 2, 2], bgr_to_rgb=True,
        pad_after_norm=after, size=(4, 6), channels_last=True,
    )  # fmt: skip
    sample = SegDataSample(metainfo=dict(valid_box=(1, 2, 3, 6)))
    image = torch.full((3, 4, 6), 9, dtype=torch.uint8)
    data = dict(inputs=[image], data_samples=[sample])
    out = MODELS.build(cfg)(data, training=True)['inputs']
    inside = np.zeros((4, 6), bool)
    inside[1:3, 2:6] = True
    red = np.where(inside | (not after), (9 - 1) / 2, 0.0)
    np.testing.assert_allclose(out[0, 0], red)
    assert out.is_contiguous(memory_format=torch.channels_last)
