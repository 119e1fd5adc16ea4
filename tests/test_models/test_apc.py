"""APC on a tiny network: outputs, predictions, test-time augmentation, ViT-PCM, errors."""

import copy
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmseg.registry import MODELS, TRANSFORMS
from mmseg.structures import SegDataSample

from mmwsss.evaluation.metrics import CAMMetric, ImageLabelMetric
from mmwsss.models import CAMTTAModel, CRFTTAModel, ScaleMaxTTAModel
from mmwsss.models.heads import adaptive_k_pooling
from mmwsss.models.segmentors.crf_prediction import original_image
from mmwsss.models.utils import image_labels
from mmwsss.ops import patches_inside
from tests.tiny_apc import apc_config
from tests.weak_data import make_image, save_image, save_mask

pytestmark = pytest.mark.stack
SIZE, GRID = (32, 48), (4, 6)
resize = partial(F.interpolate, mode='bilinear')


def build(name='apc_vit-tiny', **changes):
    """Build a public tiny model with four classes, with scores that differ, alike each time."""
    torch.manual_seed(0)
    model = MODELS.build(apc_config(name, changes)).eval()
    with torch.no_grad():
        model.cam_head.conv_cam.weight.normal_(std=3.0)
    return model


def samples(number=2, size=SIZE):
    out = []
    for i in range(number):
        meta = dict(img_path='dog.jpg', ori_shape=size, img_shape=SIZE)
        out.append(SegDataSample(metainfo=meta))
        out[-1].set_data(dict(gt_score=torch.tensor([1.0, float(i), 0.0])))
    return out


def images(number=2):
    return torch.randn(number, 3, *SIZE)


# the network


def test_tensor_mode_gives_everything_of_one_pass():
    model, passes = build(), []
    model.backbone.register_forward_hook(lambda *_: passes.append(1))
    outputs = model(images(), mode='tensor')
    assert {k: tuple(v.shape) for k, v in outputs.items()} == dict(
        patch_scores=(2, 4, *GRID), image_scores=(2, 4), patch_embed=(2, 24, 16), seg=(2, 4, *GRID)
    )
    assert len(passes) == 1


def test_outputs_belong_to_each_other():
    model = build()
    outputs = model(x := images(), mode='tensor')
    weight = model.cam_head.conv_cam.weight.flatten(1)
    scores = (outputs['patch_embed'] @ weight.T).softmax(dim=2)  # (N, L, K + 1)
    torch.testing.assert_close(outputs['patch_scores'].flatten(2).mT, scores)
    pooled = adaptive_k_pooling(scores, k=6, margin=0.05)
    torch.testing.assert_close(outputs['image_scores'], pooled)
    last = model.backbone(x)[-1]
    embed = model.neck.context(last).flatten(2).mT
    torch.testing.assert_close(outputs['patch_embed'], embed)
    torch.testing.assert_close(outputs['seg'], model.decode_head(model.backbone(x)))


def test_a_neck_can_be_left_out():
    outputs = build(neck=None)(images(), mode='tensor')
    assert outputs['patch_embed'].shape == (2, 24, 16)


def test_vit_pcm_is_the_maximum_of_patches():
    model = build('vit-pcm')
    outputs = model(images(), mode='tensor')
    assert set(outputs) == {'patch_scores', 'image_scores', 'patch_embed'}
    torch.testing.assert_close(outputs['image_scores'], outputs['patch_scores'].amax(dim=(2, 3)))
    assert model.refiner is None
    assert model.test_cfg.output == 'patch'


# predictions


@pytest.mark.parametrize('output', ['seg', 'cam'])
@torch.no_grad()
def test_predictions_have_the_size_of_the_original_image(output):
    model = build(**{'test_cfg.output': output})
    data_samples = samples()
    data_samples[1].set_metainfo(dict(ori_shape=(21, 30)))
    x = images()
    found = model(x, data_samples, mode='predict')
    outputs = model(x, mode='tensor')
    assert [tuple(s.pred_sem_seg.data.shape) for s in found] == [(1, *SIZE), (1, 21, 30)]
    probabilities = outputs['image_scores'][:, 1:]
    torch.testing.assert_close(torch.stack([s.pred_score for s in found]), probabilities)
    key = 'seg' if output == 'seg' else 'patch_scores'
    maps = resize(outputs[key], SIZE)[0]
    if output == 'seg':
        torch.testing.assert_close(found[0].seg_logits.data, maps)
    else:
        tags = image_labels(found[:1], 4, 'cpu')[0]
        torch.testing.assert_close(found[0].cams.data, maps[1:] * tags[:, None, None])
        # the third class has no tag
        assert all((s.pred_sem_seg.data < 3).all() for s in found)
    assert all(('cams' in s) == (output == 'cam') for s in found)


def learned_background(outputs, tags):
    """Return the shares of ViT-PCM's published code, image by image: (N, K + 1, h, w)."""
    shares = []
    for maps, tag in zip(outputs['patch_scores'], tags, strict=True):
        kept = maps * F.pad(tag, (1, 0), value=1.0)[:, None, None]
        kept = kept / kept.amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)
        shares.append(kept / kept.sum(dim=0))
    return torch.stack(shares)


@pytest.mark.parametrize('name', ['apc_vit-tiny', 'vit-pcm'])
@torch.no_grad()
def test_the_learned_background_competes_with_the_tagged_classes(name):
    model, x = build(name, **{'test_cfg.output': 'patch'}), images()
    found = model(x, samples(), mode='predict')
    outputs = model(x, mode='tensor')
    tags = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    shares = resize(learned_background(outputs, tags), SIZE)
    for sample, expected, scores in zip(found, shares, outputs['image_scores'], strict=True):
        torch.testing.assert_close(sample.seg_logits.data.exp(), expected)
        assert torch.equal(sample.pred_sem_seg.data[0], expected.argmax(dim=0))
        torch.testing.assert_close(sample.pred_score, scores[1:])
        assert 'cams' not in sample
    assert {0, 1} <= set(found[0].pred_sem_seg.data.unique().tolist())


@torch.no_grad()
def test_the_learned_background_without_tags():
    changes = {'test_cfg.output': 'patch', 'test_cfg.use_image_labels': False}
    model, x = build(**changes), images()
    outputs = model(x, mode='tensor')
    probable = (outputs['image_scores'][:, 1:] >= 0.5).float()
    assert 0 < probable.sum() < 6
    expected = resize(learned_background(outputs, probable), SIZE)
    for untagged in (None, samples()):
        found = model(x, untagged, mode='predict')
        for sample, shares in zip(found, expected, strict=True):
            torch.testing.assert_close(sample.seg_logits.data.exp(), shares)


@torch.no_grad()
def test_patches_of_padding_are_no_maximum(picture):
    model = build(**{'test_cfg.output': 'patch'})
    data = batch_of(picture)
    x = model.data_preprocessor(copy.deepcopy(data), False)['inputs']
    inside = patches_inside(torch.ones(1, 1, 37, 51), (1, 1))
    assert x.shape[2:] == (40, 56) and inside.all()
    outputs = model(x, mode='tensor')
    kept = F.pad(torch.ones(1, 1, 37, 51), (0, 5, 0, 3))
    outputs['patch_scores'] = outputs['patch_scores'] * patches_inside(kept, (5, 7))
    expected = learned_background(outputs, torch.tensor([[1.0, 1.0, 0.0]]))
    expected = resize(expected.nan_to_num(0), (40, 56))[0, :, :37, :51]
    torch.testing.assert_close(model.test_step(data)[0].seg_logits.data.exp(), expected)


def test_slices_have_no_learned_background():
    slide = {'test_cfg.mode': 'slide', 'test_cfg.crop_size': (32, 32), 'test_cfg.stride': (16, 16)}
    with pytest.raises(ValueError, match="output='patch' compares .* got 'slide'"):
        build(**slide, **{'test_cfg.output': 'patch'})


@torch.no_grad()
def test_probabilities_of_0_and_1_are_finite_planes():
    model, x = build(), images(1)
    model.cam_head.conv_cam.weight.mul_(1e4)
    found = model(x, samples(1, size=(64, 96)), mode='predict')[0]
    probabilities = model(x, mode='tensor')['image_scores'][0, 1:]
    assert probabilities.eq(1).any() and probabilities.eq(0).any()
    torch.testing.assert_close(found.pred_score, probabilities, rtol=0, atol=1e-5)


@torch.no_grad()
def test_slices_are_predicted_too():
    slide = {'test_cfg.mode': 'slide', 'test_cfg.crop_size': (32, 32), 'test_cfg.stride': (16, 16)}
    found = build(**slide)(images(), samples(), mode='predict')
    assert found[0].seg_logits.data.shape == (4, *SIZE)


@torch.no_grad()
def test_metrics_read_what_is_predicted():
    model = build(**{'test_cfg.output': 'cam'})
    found = model(images(), samples(), mode='predict')
    batch = []
    for sample in found:
        sample.set_data(dict(gt_label=sample.gt_score.nonzero().flatten()))
        sample.gt_sem_seg = copy.deepcopy(sample.pred_sem_seg)
        batch.append(sample.to_dict())
    tags, cams = ImageLabelMetric(), CAMMetric()
    cams.dataset_meta = dict(classes=('background', 'a', 'b', 'c'))
    for metric in (tags, cams):
        metric.process({}, batch)
    assert set(tags.evaluate(2)) == {'tags/F1', 'tags/precision', 'tags/recall'}
    figures = cams.evaluate(2)
    assert any('mIoU' in name for name in figures)


# images of other sizes than in training


@pytest.fixture
def picture(tmp_path):
    """An image of an odd size in a file, and its mask."""
    image, mask, _ = make_image([1, 2], (37, 51), 0)
    save_image(tmp_path / 'dog.png', image)
    save_mask(tmp_path / 'mask.png', mask)
    return dict(
        img_path=str(tmp_path / 'dog.png'),
        seg_map_path=str(tmp_path / 'mask.png'),
        seg_fields=[],
        reduce_zero_label=False,
        label_map=None,
        gt_label=[0, 1],
        num_classes=4,
        classes=('background', 'a', 'b', 'c'),
    )


@pytest.mark.parametrize('name', ['apc_vit-b_voc', 'apc_vit-b_coco'])
@torch.no_grad()
def test_images_are_resized_for_the_network_and_predictions_brought_back(repo, picture, name):
    """As 960 x 960 from 384 x 384, with 80 from 32; the mask keeps its size."""
    cfg = Config.fromfile(repo / f'configs/apc/{name}.py')
    assert cfg.model.backbone.img_size == cfg.crop_size[0] == 384
    pipeline = cfg.test_dataloader.dataset.pipeline
    assert next(step for step in pipeline if step.type == 'Resize').scale == (960, 960)
    assert next(step for step in cfg.test_pipeline if step.type == 'Resize').scale == (960, 960)
    for step in pipeline:
        if step.type == 'Resize':
            step.scale = (80, 80)
    data = pseudo_collate([Compose(pipeline)(picture)])
    model, sizes = build(), []
    model.backbone.register_forward_hook(lambda _, __, maps: sizes.append(maps[0].shape[2:]))
    sample = model.test_step(data)[0]
    assert sizes == [(10, 10)]
    assert sample.pred_sem_seg.data.shape == sample.gt_sem_seg.data.shape == (1, 37, 51)


@torch.no_grad()
def test_the_grid_covers_an_image_that_is_no_multiple_of_a_patch(picture):
    """Padding goes to the preprocessor: a stretched grid would shift what is found."""
    model, sizes = build(**{'test_cfg.output': 'cam'}), []
    model.backbone.register_forward_pre_hook(lambda _, args: sizes.append(args[0].shape[2:]))
    steps = [dict(type='LoadImageChecked'), dict(type='PackWeakInputs')]
    data = pseudo_collate([Compose(steps)(picture)])
    sample = model.test_step(copy.deepcopy(data))[0]
    assert sizes == [(40, 56)]
    padded = model.data_preprocessor(data, False)['inputs']
    maps = resize(model(padded, mode='tensor')['patch_scores'], (40, 56))
    tags = image_labels([sample], 4, 'cpu')[0]
    torch.testing.assert_close(sample.cams.data, maps[0, 1:, :37, :51] * tags[:, None, None])


# test-time augmentation and the dense CRF


def batch_of(picture, views=0):
    steps = [dict(type='LoadImageChecked'), dict(type='PackWeakInputs')]
    data = pseudo_collate([Compose(steps)(picture)])
    return {k: [copy.deepcopy(v) for _ in range(views)] for k, v in data.items()} if views else data


@pytest.mark.parametrize('output', ['seg', 'patch'])
@pytest.mark.parametrize('tta', [None, CRFTTAModel, ScaleMaxTTAModel])
@torch.no_grad()
def test_crf_refines_masks_once(picture, tta, output):
    results, calls = [], []
    for crf in (None, dict(type='DenseCRF', num_iters=2)):
        model = build(**{'test_cfg.crf': crf, 'test_cfg.output': output})
        if crf:
            model.crf.register_forward_hook(lambda *_: calls.append(1))
        data = batch_of(picture, views=2 if tta is CRFTTAModel else 0)
        results.append((tta(model) if tta else model).test_step(data)[0])
    assert len(calls) == 1
    plain, refined = (sample.seg_logits.data for sample in results)
    expected = model.crf(original_image(results[0])[None], plain[None].softmax(1))[0]
    torch.testing.assert_close(refined.softmax(0), expected)


@torch.no_grad()
def test_maps_of_views_are_summed(picture):
    model = build(**{'test_cfg.output': 'cam'})
    single = model.test_step(batch_of(picture))[0].cams.data
    merged = CAMTTAModel(model).test_step(batch_of(picture, views=2))[0].cams.data
    torch.testing.assert_close(merged, 2 * single)


@pytest.mark.parametrize('name', ['apc_vit-b_voc', 'apc_vit-tiny_emblems', 'vit-pcm_vit-b_voc'])
@torch.no_grad()
def test_views_of_the_configs_are_merged(repo, picture, name):
    cfg = Config.fromfile(repo / f'configs/apc/{name}.py')
    views = next(step for step in cfg.tta_pipeline if step.type == 'TestTimeAug')
    for choices in views.transforms:
        for step in choices:
            if step.type == 'Resize':
                step.scale = (48, 48)
    model = build('vit-pcm' if 'pcm' in name else 'apc_vit-tiny')
    tta = MODELS.build(dict(cfg.tta_model, module=model))
    sample = tta.test_step(pseudo_collate([Compose(cfg.tta_pipeline)(picture)]))[0]
    assert sample.pred_sem_seg.data.shape == sample.gt_sem_seg.data.shape == (1, 37, 51)


# augmentation


NAMES = ['apc_vit-b_voc', 'apc_vit-b_coco', 'apc_vit-b_crop_voc']
NAMES += ['vit-pcm_vit-b_voc', 'vit-pcm_vit-b_coco']


@pytest.mark.parametrize('name', NAMES)
def test_training_images_are_laid_in_all_eight_ways_alike(repo, name):
    """As left-right, up-down and transposed with probability 1/2 each lay them."""
    cfg = Config.fromfile(repo / f'configs/apc/{name}.py')
    turns = [s for s in cfg.train_dataloader.dataset.pipeline if s.type.endswith('Flip')]
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    seen = Counter(
        Compose(turns)(dict(img=image.copy(), img_shape=(2, 3)))['img'][..., 0].tobytes()
        for _ in range(800)
    )
    expected = {
        np.rot90(x, k).tobytes() for x in (image[..., 0], image[:, ::-1, 0]) for k in range(4)
    }
    assert set(seen) == expected
    assert min(seen.values()) > 60


@pytest.mark.parametrize('name', NAMES)
def test_training_images_are_resized_or_cropped_and_coloured(repo, picture, name):
    cfg = Config.fromfile(repo / f'configs/apc/{name}.py')
    steps = cfg.train_dataloader.dataset.pipeline
    data = Compose(steps)(picture)
    assert data['inputs'].shape == (3, 384, 384)
    whole = data['data_samples'].valid_box == (0, 0, 384, 384)
    assert whole or 'crop' in name
    jitter = TRANSFORMS.build(next(step for step in steps if step.type == 'JitterColor'))
    ranges = dict(
        brightness=(1.0, 1.0), contrast=(0.5, 2.0), saturation=(0.5, 1.5), hue=(-0.1, 0.1)
    )
    assert jitter.ranges == ranges and jitter.gray_prob == 0.1
    assert ('second_view' in data['data_samples']) == ('pcm' in name)


# parts


def test_patches_of_which_half_is_image_count():
    valid = torch.zeros(1, 1, 8, 8)
    valid[..., 2:, :6] = 1
    found = patches_inside(valid, (2, 2))
    assert found.dtype == torch.bool
    # shares 8/16, 4/16, 16/16, 8/16
    assert found.flatten().tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(thresholds=(0.6, 0.4)), r'thresholds must be two shares.*got \(0.6, 0.4\)'),
        (dict(thresholds=(0.6,)), r'thresholds must be two shares.*got \(0.6,\)'),
        (
            {'cam_head': dict(type='CAMHead', in_channels=16, num_classes=4)},
            'cam_head must be a PatchClassifierHead, got a CAMHead',
        ),
        (
            {'data_preprocessor.mean': None, 'data_preprocessor.std': None},
            'refiner needs a data_preprocessor that normalises',
        ),
        (dict(decode_head=None), "test_cfg.output='seg' needs a decode_head"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)
